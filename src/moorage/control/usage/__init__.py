"""Room that images take, by project and namespace: measured, kept with its moment, and bounded by quotas."""
