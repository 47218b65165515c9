"""XML that strangers wrote, read safely: no entity is expanded, nothing is loaded, depth and size are bounded.

`lxml` with entities, network and document types switched off; libxml2 bounds nesting at 256 and amplification. What
is not well-formed, as old POMs are that use an undeclared prefix or `&copy;`, is read as far as it can be.

Source: XML 1.0; libxml2's parser options.
"""

from collections.abc import Iterator

from lxml import etree  # ty: ignore[missing-module-member]

Element = etree._Element  # as lxml calls it; it ships no types
MAX_LINE = 65_534
"""The last line that libxml2 tells for certain."""


class NotXml(ValueError):
    """Nothing of it can be read as XML; the text says why, without the content."""


class _Nowhere(etree.Resolver):
    """Whatever a document asks to load is empty."""

    def resolve(self, system_url: str | None, public_id: str | None, context: object) -> object:
        """Load nothing."""
        return self.resolve_empty(context)


def parse_xml(content: bytes) -> tuple[Element, str | None]:
    """The root element, and what is wrong with the document; null where it is well-formed.

    Raises:
        NotXml: There is no element in it.
    """
    content = content.lstrip()
    try:
        return etree.fromstring(content, _make_parser(recover=False)), None
    except (etree.XMLSyntaxError, ValueError) as error:
        reason = _describe(error)
    try:
        root = etree.fromstring(content, _make_parser(recover=True))
    except (etree.XMLSyntaxError, ValueError):
        root = None
    if root is None:
        raise NotXml(f"no XML: {reason}")
    return root, f"not well-formed XML: {reason}"


def local_name(element: Element) -> str:
    """The tag without its namespace, and nothing for what is no element."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def children(element: Element | None) -> dict[str, Element]:
    """The first child of each name, whatever its namespace."""
    found: dict[str, Element] = {}
    if element is not None:
        for child in element:
            tag = child.tag
            if type(tag) is str:
                name = tag[tag.find("}") + 1 :]
                if name not in found:
                    found[name] = child
    return found


def each(element: Element | None, *names: str) -> Iterator[Element]:
    """All children of these names."""
    if element is not None:
        for child in element:
            tag = child.tag
            if type(tag) is str and tag[tag.find("}") + 1 :] in names:
                yield child


def text_of(element: Element | None) -> str | None:
    """The trimmed text of an element; null where it is missing, empty, or holds an entity that isn't expanded."""
    if element is None or not (text := element.text) or len(element):
        return None
    return text.strip() or None


def line_of(element: Element | None) -> int | None:
    """The line on which an element's text begins; null where it isn't certain."""
    if element is None or (line := element.sourceline) is None or line > MAX_LINE:
        return None
    if (text := element.text) and text[0] in "\n \t":
        line += text[: len(text) - len(text.lstrip())].count("\n")
    return line


def _make_parser(*, recover: bool) -> etree.XMLParser:
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
        recover=recover,
    )
    parser.resolvers.add(_Nowhere())
    return parser


def _describe(error: Exception) -> str:
    """What libxml2 says, where, and nothing of the document."""
    if not isinstance(error, etree.XMLSyntaxError):
        return "it can't be decoded"
    last = error.error_log.last_error
    kind = (last.type_name if last else "").removeprefix("ERR_").lower().replace("_", " ")
    return f"{kind or 'syntax error'} in line {error.lineno or 1}"
