"""URLs: one text, one host, or none at all."""

from urllib.parse import urlsplit

import pytest
from egress_corpus import AMBIGUOUS
from hypothesis import given, settings
from hypothesis import strategies as st

from tactful.channels.egress import Egress
from tactful.channels.egress.target import parse_url
from tactful.core.errors import RequestError


@pytest.mark.parametrize(
    ("url", "origin", "path"),
    [
        ("https://example.com", "https://example.com", "/"),
        ("https://example.com/a/b?c=d&e=%20", "https://example.com", "/a/b?c=d&e=%20"),
        ("https://example.com?q", "https://example.com", "/?q"),
        ("HTTPS://Example.COM:443/A", "https://example.com", "/A"),
        ("http://example.com:80/", "http://example.com", "/"),
        ("https://example.com:8443/", "https://example.com:8443", "/"),
        ("https://bücher.example/", "https://xn--bcher-kva.example", "/"),
        ("https://1.2.3.4/", "https://1.2.3.4", "/"),
        ("https://[2606:4700::1111]:8443/x", "https://[2606:4700::1111]:8443", "/x"),
        ("https://a.example/@user:x/", "https://a.example", "/@user:x/"),
    ],
)
def test_a_url_is_read_as_it_stands(url: str, origin: str, path: str):
    target = parse_url(url)

    assert (target.origin, target.path) == (origin, path)
    assert parse_url(target.url) == target


@pytest.mark.parametrize("url", AMBIGUOUS)
def test_what_could_be_read_in_two_ways_is_refused(url: str):
    with pytest.raises(RequestError) as caught:
        parse_url(url, "address")

    assert caught.value.field == "address"


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/hunter2 x",
        "https://example.com:0/hunter2",
        "https://me:hunter2@example.com/",
        "ftp://example.com/hunter2",
        "https://example.com:81/hunter2",
        "https://hunter2@example.com",
        "https://127.1/hunter2",
        "https://example.com?hunter2#",
    ],
)
def test_an_error_never_shows_more_than_the_host(url: str):
    with pytest.raises(RequestError) as caught:
        Egress().target(url)

    assert "hunter2" not in str(caught.value)


def test_only_https_to_its_port_unless_more_is_allowed():
    plain, odd, own = "http://a.example/", "https://a.example:8443/", "http://a.example:443/"

    assert Egress().target("https://a.example/").port == 443
    for url in (plain, odd, own):
        with pytest.raises(RequestError):
            Egress().target(url)
    assert Egress(allow_http=True).target(plain).port == 80
    assert Egress(ports=[8443]).target(odd).port == 8443
    with pytest.raises(RequestError, match="port must be one of 8443"):
        Egress(ports=[8443]).target("https://a.example/")


HOSTILE = st.text(
    st.sampled_from("ahtps:/@\\#?.[]%0127xX \t\r\n\x00é。-_"), min_size=1, max_size=40
).map(lambda text: f"https://{text}")


@settings(deadline=None, print_blob=True, max_examples=300)
@given(st.one_of(HOSTILE, st.text().map(lambda text: f"https://{text}"), st.text()))
def test_whatever_is_accepted_has_the_same_host_for_the_standard_library(url: str):
    try:
        target = parse_url(url)
    except RequestError:
        return
    parts = urlsplit(target.url)

    assert (parts.hostname, parts.username, parts.fragment) == (target.host, None, "")
    assert target.url.isascii()
    assert target.url.isprintable()
    assert " " not in target.url
