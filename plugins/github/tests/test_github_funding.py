"""FUNDING.yml in all its forms."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wump_core import FundingLink
from wump_provider_github.funding import MAX_LINKS, PLATFORMS, parse_funding_file, parse_funding_links

TEMPLATE = b"""# These are supported funding model platforms

github: [octo, "@ann"] # Replace with up to 4 GitHub Sponsors-enabled usernames
patreon: # Replace with a single Patreon username
open_collective: ~
ko_fi: ''
tidelift: npm/side-channel
community_bridge: cloud-foundry
liberapay: null
issuehunt: octo
lfx_crowdfunding: octo
polar: octo
buy_me_a_coffee: octo
thanks_dev: u/gh/octo
otechie: octo
custom: ['octo.example/give', "https://pay.example/a?b=c"]
"""


def read(text):
    links, diagnostics = parse_funding_file(text if isinstance(text, bytes) else text.encode())
    return [(link.type, link.url) for link in links], [(item.field, item.line) for item in diagnostics]


def test_githubs_template():
    links, problems = read(TEMPLATE)
    assert links == [
        ("github", "https://github.com/sponsors/octo"),
        ("github", "https://github.com/sponsors/ann"),
        ("tidelift", "https://tidelift.com/funding/github/npm/side-channel"),
        ("community_bridge", "https://funding.communitybridge.org/projects/cloud-foundry"),
        ("issuehunt", "https://issuehunt.io/r/octo"),
        ("lfx_crowdfunding", "https://crowdfunding.lfx.linuxfoundation.org/projects/octo"),
        ("polar", "https://polar.sh/octo"),
        ("buy_me_a_coffee", "https://buymeacoffee.com/octo"),
        ("thanks_dev", "https://thanks.dev/u/gh/octo"),
        ("otechie", "https://otechie.com/octo"),
        ("custom", "https://octo.example/give"),
        ("custom", "https://pay.example/a?b=c"),
    ]
    assert problems == []


@pytest.mark.parametrize(
    ("text", "links", "problems"),
    [
        ("github: octo", [("github", "https://github.com/sponsors/octo")], []),
        ("github:\n- a\n- a\n-\n", [("github", "https://github.com/sponsors/a")], []),
        ("ko_fi: 0123", [("ko_fi", "https://ko-fi.com/0123")], []),
        ("patreon: on", [("patreon", "https://www.patreon.com/on")], []),
        ("patreon: https://www.patreon.com/x", [("patreon", "https://www.patreon.com/x")], []),
        ("\ufeffgithub: octo\r\n", [("github", "https://github.com/sponsors/octo")], []),
        ("custom: pay.example", [("custom", "https://pay.example")], []),
        ("custom: &a [pay.example, *a]", [("custom", "https://pay.example")], [("custom", 1)]),
        ("custom: javascript:alert(1)", [], [("custom", 1)]),
        ("custom: mailto:me@x.example", [], [("custom", 1)]),
        ("\ngithub: a b\npolar: {a: b}\nnew_one: x\n", [], [("github", 2), ("polar", 3), ("new_one", 4)]),
        ("github: ../../login", [("github", "https://github.com/sponsors/../../login")], []),
        ("", [], []),
        ("# only a comment\n", [], []),
        ("---\n", [], []),
        ("- github", [], [(None, None)]),
        ("just text", [], [(None, None)]),
        ("github: [a", [], [(None, None)]),
        (b"github: \xff", [], [(None, None)]),
        (b"#" * 200_000, [], [(None, None)]),
    ],
)
def test_other_forms(text, links, problems):
    assert read(text) == (links, problems)


def test_the_number_of_links_is_bounded():
    links, problems = read("github: [" + ", ".join(f"a{at}" for at in range(MAX_LINKS + 5)) + "]")
    assert (len(links), len(problems)) == (MAX_LINKS, 1)


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))))
def test_junk_never_raises(content):
    links, diagnostics = parse_funding_file(b"github: " + content)
    assert all(link.url.startswith(("https://", "http://")) for link in links)
    assert all(item.message for item in diagnostics)


@given(st.dictionaries(st.sampled_from([*PLATFORMS, "custom", "x"]), st.text("abc019./@-_ ", min_size=1, max_size=30)))
def test_each_value_is_a_link_or_a_diagnostic(values):
    text = "".join(f"{key}: '{value}'\n" for key, value in values.items())
    links, diagnostics = parse_funding_file(text.encode())
    assert len(links) + len(diagnostics) == len([value for value in values.values() if value.strip()])


def test_links_of_graphql_have_the_same_types():
    raw = [
        {"platform": "LFX_CROWDFUNDING", "url": "https://crowdfunding.example/x"},
        {"platform": "CUSTOM", "url": "pay.example"},
        {"platform": None, "url": "https://pay.example/2"},
        {"platform": "GITHUB", "url": None},
        {"platform": "CUSTOM", "url": "https://pay.example"},
        None,
    ]
    assert parse_funding_links(raw) == (
        FundingLink(type="lfx_crowdfunding", url="https://crowdfunding.example/x"),
        FundingLink(type="custom", url="https://pay.example"),
        FundingLink(type=None, url="https://pay.example/2"),
    )
    assert parse_funding_links(None) == ()
