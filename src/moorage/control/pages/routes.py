"""The addresses of pages. What names a place comes last, as it takes every path."""

from django.urls import URLPattern, path

from moorage.control.pages.views import (
    administration,
    cleanup,
    home,
    members,
    place_tokens,
    places,
    protection,
    refused,
    registry,
    tags,
)

app_name = "pages"

urlpatterns: list[URLPattern] = [
    path("", home.show_home, name="home"),
    path("groups", home.list_groups, name="groups"),
    path("groups/new", places.make_group, name="new-group"),
    path("projects", home.list_projects, name="projects"),
    path("projects/new", places.make_project, name="new-project"),
    path("-/search", home.search, name="search"),
    path("-/refused", refused.list_own, name="own-refusals"),
    path("-/refused/<int:refusal>", refused.show_refusal, name="refusal"),
    path("admin", administration.show_overview, name="admin"),
    path("admin/users", administration.list_users, name="admin-users"),
    path("admin/users/<int:user>/state", administration.change_user_state, name="admin-user-state"),
    path("admin/settings", administration.change_instance, name="admin-settings"),
    path("admin/deletions", administration.list_deletions, name="admin-deletions"),
    path("admin/cleanup", administration.list_policies, name="admin-policies"),
    path("admin/audit", administration.list_audit, name="admin-audit"),
    path("<path:place>/-/settings", places.change_place, name="settings"),
    path("<path:place>/-/delete-place", places.delete_place, name="delete-place"),
    path("<path:place>/-/registry", registry.list_repositories, name="registry"),
    path("<path:place>/-/members", members.list_members, name="members"),
    path("<path:place>/-/members/<int:member>", members.change_member_of, name="member"),
    path("<path:place>/-/tokens", place_tokens.list_tokens, name="tokens"),
    path("<path:place>/-/tokens/<str:kind>/<int:token>/revoke", place_tokens.revoke, name="revoke"),
    path("<path:place>/-/refused", refused.list_of_project, name="refused"),
    path("<path:place>/-/protection", protection.list_rules, name="protection"),
    path("<path:place>/-/protection/<str:kind>/<int:rule>/remove", protection.remove_rule, name="remove-rule"),
    path("<path:place>/-/cleanup", cleanup.change_cleanup, name="cleanup"),
    path("<path:place>/-/cleanup/run", cleanup.run_cleanup, name="run-cleanup"),
    path("<path:place>/-/cleanup/runs/<int:run>", cleanup.show_run, name="cleanup-run"),
    path("<path:place>/-/cleanup/runs/<int:run>/undo", tags.undo, name="undo"),
    path("<path:repository>/-/tags", tags.list_tags, name="tags"),
    path("<path:repository>/-/delete", tags.delete_tags, name="delete-tags"),
    path("<path:repository>/-/delete-repository", registry.delete_repository, name="delete-repository"),
    path("<path:repository>/-/try-again", registry.try_again, name="try-again"),
    path("<path:place>", places.show_place, name="place"),
]
