"""What is shipped for other programs to run is understood by them."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import trustme
from click.testing import CliRunner
from test_docs import ROOT

from tactful.cli.main import tactful
from tactful.config import KEYS, PREFIX

UNITS = sorted((ROOT / "deploy/systemd").glob("*.service"))
SERVER = ROOT / "deploy/nginx/tactful.conf"


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_calls_a_command_that_exists(path: Path) -> None:
    """Options and variables of the units are known to this version."""
    text = path.read_text(encoding="utf-8")
    (called,) = re.findall(r"^ExecStart=/opt/tactful/bin/tactful (.+)$", text, re.M)
    named = set(re.findall(r"^Environment=(TACTFUL_\w+)=", text, re.M)) - {"TACTFUL_CONFIG"}

    answer = CliRunner().invoke(tactful, [*shlex.split(called), "--help"])

    assert answer.exit_code == 0, answer.output
    variables = {PREFIX + key.upper().replace(".", "_") for key in KEYS}
    assert {name.removesuffix("_FILE") for name in named} <= variables


@pytest.mark.foreign
@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_understands_a_unit(path: Path, tmp_path: Path) -> None:
    """`systemd-analyze verify`, with a program and a user that are there."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.M)
    unit = tmp_path / path.name
    unit.write_text(text.replace("User=tactful", "User=daemon"), encoding="utf-8")

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert path.name not in done.stderr


@pytest.mark.foreign
def test_nginx_understands_the_server(tmp_path: Path) -> None:
    """`nginx -t`, with a certificate that is there."""
    certificate = trustme.CA().issue_cert("notify.example.com")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "web.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "web.key")
    server = SERVER.read_text(encoding="utf-8").replace("/etc/tactful", str(tmp_path))
    (tmp_path / "server.conf").write_text(server, encoding="utf-8")
    whole = tmp_path / "nginx.conf"
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = "".join(f"{kind}_temp_path {tmp_path}/{kind};\n" for kind in kinds)
    whole.write_text(
        f"pid {tmp_path}/pid;\nerror_log stderr;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{folders}include {tmp_path}/server.conf;\n}}\n",
        encoding="utf-8",
    )

    done = subprocess.run(
        ["nginx", "-t", "-c", whole, "-p", tmp_path], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
