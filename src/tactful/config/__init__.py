"""The configuration: one file, overruled by the environment, overruled by the command line.

    store = "sqlite:///notify.db"

    [engine]
    lease = "15m"

    [smtp]
    host = "mail.example.com"
    security = "starttls"
    sender = "Example <hello@example.com>"

`KEYS` lists every key. In the environment `engine.retry.base` is `TACTFUL_ENGINE_RETRY_BASE`; of
the keys in `SECRET_KEYS`, `TACTFUL_SMTP_PASSWORD_FILE` names a file that holds the value. The
tables `rules`, `types` and `templates` may stand in the same file; they are not in force until
`tactful init` or `tactful rules apply` puts them there.

An unknown key in a file is an error. An unknown variable of the environment is not (`ignored`
lists them), since platforms invent some from the name of a service: Kubernetes sets `TACTFUL_PORT`.
"""

from tactful.config.keys import FILE_NAME, KEYS, SECRET_KEYS, STORE
from tactful.config.loading import Config, load
from tactful.config.policies import Policies, policies_of, read_policies
from tactful.config.sources import PREFIX, read_toml

__all__ = [
    "FILE_NAME",
    "KEYS",
    "PREFIX",
    "SECRET_KEYS",
    "STORE",
    "Config",
    "Policies",
    "load",
    "policies_of",
    "read_policies",
    "read_toml",
]
