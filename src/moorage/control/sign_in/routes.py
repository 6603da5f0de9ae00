"""The addresses of sign-in and of one's own account."""

from django.urls import URLPattern, path

from moorage.control.sign_in.views import account, entering, factors, providers

urlpatterns: list[URLPattern] = [
    path("-/sign-in", entering.sign_in, name="sign-in"),
    path("-/sign-in/second-factor", entering.ask_second_factor, name="second-factor"),
    path("-/sign-in/security-key/options", factors.begin_key_check, name="security-key-options"),
    path("-/sign-in/security-key", factors.check_key, name="security-key"),
    path("-/sign-in/oidc", providers.go_to_provider, name="oidc"),
    path("-/sign-in/oidc/callback", providers.come_from_provider, name="oidc-callback"),
    path("-/sign-out", entering.sign_out, name="sign-out"),
    path("-/me/settings", account.show_settings, name="own-settings"),
    path("-/me/password", account.change_own_password, name="own-password"),
    path("-/me/sessions", account.list_sessions, name="own-sessions"),
    path("-/me/sessions/end-others", account.end_other_sessions, name="end-other-sessions"),
    path("-/me/sessions/<uuid:session>/end", account.end_session, name="end-session"),
    path("-/me/tokens", account.show_tokens, name="own-tokens"),
    path("-/me/tokens/<int:number>/revoke", account.revoke_own_token, name="revoke-own-token"),
    path("-/me/second-factor", factors.show_factors, name="own-second-factor"),
    path("-/me/second-factor/totp", factors.set_up_totp, name="set-up-totp"),
    path("-/me/second-factor/recovery-codes", factors.make_recovery_codes, name="recovery-codes"),
    path("-/me/second-factor/security-key/options", factors.begin_security_key, name="new-security-key-options"),
    path("-/me/second-factor/security-key", factors.add_security_key, name="new-security-key"),
    path("-/me/second-factor/<int:number>/take-away", factors.take_away, name="take-away-factor"),
]
