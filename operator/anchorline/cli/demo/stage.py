"""What the audience sees: chapters, commands and their answers, claims, the summary."""

import shlex
import sys
import time
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from anchorline.errors import AnchorlineError

LINES_AT_MOST = 14
WIDTH = 116
# To the beginning of the line, and everything after it gone.
_OVER = "\r\x1b[K"


class Untrue(AnchorlineError):
    """Something that the demo claims did not hold; the message is what the audience reads."""


def require(truth: object, sentence: str) -> None:
    """Raise `Untrue` with a sentence when a claim does not hold."""
    if not truth:
        raise Untrue(sentence)


@dataclass(slots=True, kw_only=True)
class Chapter:
    """One row of the summary."""

    title: str
    began: float
    seconds: float = 0.0
    shown: str = ""


class Stage:
    """Prints; colour on a terminal, plain text elsewhere."""

    def __init__(self) -> None:
        terminal = sys.stdout.isatty()
        self._console = Console(highlight=False, soft_wrap=True, width=None if terminal else WIDTH)
        self.live = terminal
        self._chapters: list[Chapter] = []
        self._began = time.monotonic()
        self._ticking = False

    def chapter(self, title: str) -> None:
        """Begin the next chapter."""
        self._end_chapter()
        self._chapters.append(Chapter(title=title, began=time.monotonic()))
        self._say(f"\n{len(self._chapters)}. {title}", "bold cyan")

    def ran(self, *command: str) -> None:
        """Show a command as it could be typed."""
        self._say(f"  $ {shlex.join(command)}", "yellow")

    def came(self, text: str, *, limit: int = LINES_AT_MOST) -> None:
        """Show what came back, at most `limit` lines of it."""
        lines = text.strip().splitlines()
        for line in lines[:limit]:
            self._say(f"    {line}", "")
        if len(lines) > limit:
            self._say(f"    ... {len(lines) - limit} more lines", "dim")

    def note(self, text: str) -> None:
        """Say what the audience should know."""
        self._say(f"    ({text})", "dim")

    def shows(self, claim: str, *, summary: str = "") -> None:
        """Say what was just seen to be true; `summary` is what the table says of this chapter."""
        self._say(f"  ✓ {claim}", "green")
        if summary:
            self._chapters[-1].shown = summary

    def skips(self, why: str) -> None:
        """Say plainly what is left out."""
        self._say(f"  - skipped: {why}", "magenta")
        self._chapters[-1].shown = "skipped, see above"

    def ticker(self, line: str, *, lasting: bool) -> None:
        """Show how things stand; on a terminal the line is written over by the next, unless it is `lasting`."""
        if self.live and not lasting:
            # Written past rich, which takes control characters out of what it prints.
            self._console.file.write(f"{_OVER}    {line[: max(20, self._console.width - 6)]}")
            self._console.file.flush()
            self._ticking = True
            return
        self._say(f"    {line}", "")

    def plainly(self, text: str) -> None:
        """Print lines as they are."""
        self._say(text, "")

    def failed(self, sentence: str) -> None:
        """Say what did not hold."""
        self._say(f"  ✗ {sentence}", "bold red")
        if self._chapters:
            self._chapters[-1].shown = "FAILED"

    def summary(self) -> None:
        """Print the table of what was shown, and the time that it all took."""
        self._end_chapter()
        table = Table(title="What was shown", title_justify="left", min_width=60)
        for heading in ("step", "shown", "seconds"):
            table.add_column(heading, justify="right" if heading == "seconds" else "left", overflow="fold")
        for number, each in enumerate(self._chapters, 1):
            table.add_row(f"{number}. {each.title}", each.shown, f"{each.seconds:.1f}")
        self._console.print()
        self._console.print(table, soft_wrap=False)
        self._say(f"total: {time.monotonic() - self._began:.1f} s", "bold")

    def _end_chapter(self) -> None:
        if self._chapters and not self._chapters[-1].seconds:
            self._chapters[-1].seconds = time.monotonic() - self._chapters[-1].began

    def _say(self, line: str, style: str) -> None:
        if self._ticking:
            self._console.file.write(_OVER)
            self._ticking = False
        self._console.print(Text(line, style=style))
        self._console.file.flush()
