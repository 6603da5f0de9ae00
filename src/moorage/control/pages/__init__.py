"""The pages: what people see of the control plane in a browser, rendered here, each of them without script too."""
