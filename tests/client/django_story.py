"""A Django project in one file, run by its tests in a process of its own: `URL KEY modern|classic`.

It prints one JSON document: what Django said about each mail. Django 5.2 knows EMAIL_BACKEND only,
6.1 both forms; warnings are errors, so that neither uses what is deprecated.
"""

import json
import sys
import warnings

import django
from django.conf import settings

warnings.simplefilter("error")
url, key, form = sys.argv[1:]
backend = "tactful.client.django.EmailBackend"
given = {"TACTFUL_URL": url, "TACTFUL_KEY": key, "TACTFUL_TYPE": "django"}
if form == "modern":
    options = {"url": url, "key": key, "type": "django"}
    given = {"MAILERS": {"default": {"BACKEND": backend, "OPTIONS": options}}}
else:
    given["EMAIL_BACKEND"] = backend
if form != "modern" and django.VERSION >= (6, 1):
    warnings.simplefilter("ignore")  # the classic form is deprecated from here on
settings.configure(DEFAULT_FROM_EMAIL="app@example.com", USE_I18N=False, **given)
django.setup()

from django.core import mail  # noqa: E402

from tactful import errors  # noqa: E402
from tactful.client.django import shared_client  # noqa: E402

said: dict[str, object] = {"version": django.get_version()}
said["send_mail"] = mail.send_mail(
    "Plain",
    "It works.",
    None,
    ["ada@example.com", "bob@example.com"],
    html_message="<p>It works.</p>",
)
message = mail.EmailMultiAlternatives(
    "Typed",
    "Text",
    to=["cy@example.com"],
    bcc=["dee@example.com"],
    headers={
        "X-Tactful-Type": "news",
        "X-Tactful-Priority": "high",
        "X-Tactful-Idempotency-Key": "k",
    },
)
said["headers"] = message.send()
said["receipts"] = [one.decision for one in message.tactful_receipts]  # type: ignore[attr-defined]
message.send()
said["again"] = [one.replayed for one in message.tactful_receipts]  # type: ignore[attr-defined]

page = mail.EmailMessage("Page", "<p>Only HTML</p>", to=["eve@example.com"])
page.content_subtype = "html"
said["html only"] = page.send()

attached = mail.EmailMessage("File", "Text", to=["ada@example.com"])
attached.attach("a.txt", "words", "text/plain")
said["nobody"] = mail.EmailMessage("To nobody", "Text", bcc=[]).send()
for name, wrong in (
    ("attachment", attached),
    ("misspelt", mail.EmailMessage("a", "b", to=["a@b.example"], headers={"X-Tactful-Tipe": "x"})),
    ("subject", mail.EmailMessage("a" * 300, "b", to=["a@b.example"])),
    (
        "over limit",
        mail.EmailMessage("a", "b", to=["a@b.example"], headers={"X-Tactful-Type": "no"}),
    ),
):
    try:
        said[name] = wrong.send()
    except errors.TactfulError as error:
        said[name] = f"{type(error).__name__}: {error}"

if form == "modern":
    said["using"] = mail.send_mail("Using", "b", None, ["fay@example.com"], using="default")
else:
    connection = mail.get_connection(fail_silently=True)
    said["silent"] = connection.send_messages(
        [attached, mail.EmailMessage("a", "b", to=["fay@example.com"])]
    )
    said["mass"] = mail.send_mass_mail([("m", "b", None, [f"m{n}@example.com"]) for n in range(50)])
shared_client(url, key).close()
print(json.dumps(said))
