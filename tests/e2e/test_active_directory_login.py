"""``docker login`` by a password of a real domain controller, once its owner has signed in to the pages."""

import re
from pathlib import Path

import httpx
import pytest
import yaml

from e2e.settings import config_for
from e2e.test_docker import load
from support.active_directory import ADDRESS, BASE, PASSWORD, SEARCHER, SEARCHER_PASSWORD, active_directory, dn_of
from support.clients import Docker
from support.control_plane import ControlPlane
from support.daemon import Daemon

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("docker")]


def sign_in(control: ControlPlane, login: str) -> int:
    """Sign in to the pages as a browser does."""
    with httpx.Client(base_url=f"http://{control.address}") as browser:
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', browser.get("/-/sign-in").text)
        assert found is not None
        form = {"csrfmiddlewaretoken": found[1], "login": login, "password": PASSWORD}
        return browser.post("/-/sign-in", data=form).status_code


def test_docker_logs_in_pushes_and_pulls_until_the_domain_keeps_its_user_out(docker: Docker, tmp_path: Path) -> None:
    with active_directory(tmp_path / "domain") as domain:
        domain.add_user("grace", mail="grace@company.example")
        server = {
            "label": "Company",
            "host": ADDRESS,
            "uid": "sAMAccountName",
            "encryption": "start_tls",
            "tls_options": {"ca_file": str(domain.ca_file)},
            "bind_dn": SEARCHER,
            "password": SEARCHER_PASSWORD,
            "base": BASE,
        }
        more = {"ldap": {"enabled": True, "servers": {"company": server}}}
        with ControlPlane(tmp_path / "control", more=more) as control:
            config = yaml.safe_dump({**yaml.safe_load(config_for(tmp_path / "daemon")), "auth": control.auth_section})
            with Daemon(tmp_path / "daemon", config=config) as registry:
                login = ("login", "--username", "COMPANY\\grace", "--password-stdin", registry.address)
                status, said = docker.attempt(*login, given=PASSWORD.encode())
                assert (status, "no account for you here yet" in said) == (1, True)
                assert sign_in(control, "grace") == 303
                assert "Login Succeeded" in docker(*login, given=PASSWORD.encode())
                name = f"{registry.address}/grace/app:v1"
                load(docker, name, seed="grace", layers=1)
                docker("push", "--quiet", name)
                docker("rmi", name)
                docker("pull", "--quiet", name)
                domain.change(dn_of("grace"), pwdLastSet=0)
                status, said = docker.attempt(*login, given=PASSWORD.encode())
                assert (status, "has to be changed in the directory" in said) == (1, True)
                domain.change(dn_of("grace"), pwdLastSet=-1, userAccountControl=514)
                status, said = docker.attempt(*login, given=PASSWORD.encode())
                assert (status, "Access denied" in said) == (1, True)
                docker("logout", registry.address)
