"""The addresses of pages. What names a place comes last, as it takes every path."""

from django.urls import URLPattern, path

from moorage.control.pages.views import administration, home, places

app_name = "pages"

urlpatterns: list[URLPattern] = [
    path("", home.show_home, name="home"),
    path("groups", home.list_groups, name="groups"),
    path("groups/new", places.make_group, name="new-group"),
    path("projects", home.list_projects, name="projects"),
    path("projects/new", places.make_project, name="new-project"),
    path("-/search", home.search, name="search"),
    path("admin", administration.show_overview, name="admin"),
    path("<path:place>/-/settings", places.change_place, name="settings"),
    path("<path:place>/-/delete-place", places.delete_place, name="delete-place"),
    path("<path:place>", places.show_place, name="place"),
]
