"""A page, read by Python's parser of HTML, and a text that tries to break out of its place."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='hacked=1'>\"&lt;"


@dataclass
class Element:
    """One element of a page: its attributes, and the text directly inside it or inside what it holds."""

    tag: str
    attributes: dict[str, str]
    text: str = ""


@dataclass
class Page(HTMLParser):
    """All elements of a page, in their order."""

    text: str
    elements: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._open: list[Element] = []
        self.feed(self.text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in ("meta", "link", "input", "br", "img"):
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().tag == tag, f"</{tag}> ends another element"

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def all(self, tag: str, name: str | None = None) -> list[Element]:
        """Elements of a tag and, perhaps, of a class."""
        return [e for e in self.elements if e.tag == tag and (name in (None, *e.attributes.get("class", "").split()))]
