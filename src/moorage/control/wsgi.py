"""The WSGI callable, for gunicorn behind a proxy: ``MOORAGE_CONTROL=control.yml gunicorn moorage.control.wsgi``."""

import os
from pathlib import Path

from moorage.control.configuration import read_control
from moorage.control.current import FILE_VARIABLE, start_django
from moorage.control.sent_requests import wsgi_application

if FILE_VARIABLE in os.environ:
    start_django(read_control(Path(os.environ[FILE_VARIABLE]), os.environ))
application = wsgi_application()
