"""Django's settings, made from the typed configuration; nothing else reads ``control.yml`` or the environment.

A name in capitals here is Django's, but for ``MOORAGE``: the configuration itself, for the rooms.
"""

from typing import Any

from moorage.control.current import current

MOORAGE = current()
_configuration = MOORAGE.configuration


_PATIENCE = {
    "connect_timeout": 10,
    "tcp_user_timeout": 30_000,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
"""Seconds, and for the second milliseconds, after which a server that is silent counts as away: each thread that waits
for it answers nobody. A machine that went without a word would be waited for by the system's own measure, a quarter of
an hour. How long a query takes has no bound by it. Source: libpq, "Parameter Key Words"."""


def _databases() -> dict[str, dict[str, Any]]:
    database = _configuration.database
    if database.host:
        return {
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "HOST": database.host,
                "PORT": str(database.port or ""),
                "NAME": database.dbname,
                "USER": database.user,
                "PASSWORD": database.password,
                "CONN_MAX_AGE": None,
                "CONN_HEALTH_CHECKS": True,
                "OPTIONS": {
                    **_PATIENCE,
                    **{
                        key: value
                        for key, value in (("sslmode", database.sslmode), ("sslrootcert", database.sslrootcert))
                        if value
                    },
                },
            }
        }
    return {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": database.sqlite,
            # A connection for each thread, kept. A transaction that reads first and writes later would fail at once
            # beside another writer, whatever the timeout: each begins as a writer.
            "CONN_MAX_AGE": None,
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-2048;",
            },
        }
    }


SECRET_KEY = _configuration.secret
DEBUG = False
ALLOWED_HOSTS = ["*"]  # Links are made from http.host, and what a request says of its host is never stored.
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = True
LANGUAGE_CODE = "en-us"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
APPEND_SLASH = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = _databases()

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "ninja",
    "moorage.control.audit",
    "moorage.control.instance",
    "moorage.control.namespaces",
    "moorage.control.accounts",
    "moorage.control.projects",
    "moorage.control.protection",
    "moorage.control.images",
    "moorage.control.policies",
    "moorage.control.usage",
    "moorage.control.tokens",
    "moorage.control.pages",
    "moorage.control.sign_in",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "moorage.control.raw_paths.RawPathMiddleware",
    "moorage.control.api.failures.APIAnswersMiddleware",
    "moorage.control.pages.hashed_files.HashedFilesMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "moorage.control.pages.page_safety.PageLanguageMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "moorage.control.sign_in.sessions.SignedInMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "moorage.control.pages.page_safety.PageSafetyMiddleware",
    "moorage.control.pages.moved_places.MovedPlacesMiddleware",
]
ROOT_URLCONF = "moorage.control.urls"
WSGI_APPLICATION = "moorage.control.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "moorage.control.pages.page_context.site",
            ]
        },
    }
]

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
PASSWORD_HASHERS = ["moorage.control.accounts.hashers.Argon2Hasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 8}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

STATIC_URL = "/-/static/"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "moorage.control.pages.hashed_files.HashedNames"},
}
LOGIN_URL = "/-/sign-in"
CSRF_FAILURE_VIEW = "moorage.control.pages.failing.unsafe_form_page"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
SESSION_COOKIE_AGE = _configuration.sign_in.session_limit * 60
SESSION_COOKIE_NAME = "_moorage_session"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _configuration.has_https()
CSRF_COOKIE_HTTPONLY = True
# A proxy that ends TLS hands requests on as http: the Origin of a form is http.host, which a request does not show.
CSRF_TRUSTED_ORIGINS = [origin for origin in (_configuration.http.origin,) if origin]
CSRF_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1 << 20

LOGGING_CONFIG = None  # moorage.telemetry sets up the log.
