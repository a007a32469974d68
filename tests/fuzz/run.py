"""Looks for inputs that break what reads them: `python tests/fuzz/run.py TARGET [--seconds 3600] [--corpus FOLDER]`.

Atheris changes whole inputs where they lead to code not seen before: any exception, an input that takes over ten
seconds, and more than 1.5 GB of memory end the run with the input that did it. Prints how many inputs it tried.
`make fuzz` runs every target for an hour.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / each) for each in ("instrumentation", "ingest", "dashboard", "sample_traces", "tests")]
CORPUS = Path(__file__).with_name("corpus")
LARGEST = 1 << 16
"""Bytes of an input."""


def main() -> None:
    """Runs until the time is over or something breaks."""
    import atheris  # type: ignore[import-not-found]

    with atheris.instrument_imports(include=["toolspend", "toolspend_ingest", "toolspend_dashboard"]):
        from fuzz import seeds, targets
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("target", choices=sorted(targets.TARGETS))
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--corpus", type=Path, help="where inputs that lead to new code are kept; a folder of its own")
    options = parser.parse_args()
    corpus = options.corpus or Path(tempfile.mkdtemp())
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds.seeds(options.target)):
        (corpus / f"seed_{number}").write_bytes(seed)
    dictionary = Path(tempfile.mkdtemp()) / "words"
    quoted = ("".join(f"\\x{byte:02x}" for byte in word.encode()) for word in seeds.words())
    dictionary.write_text("".join(f'"{word}"\n' for word in quoted))
    settings = {
        "max_total_time": options.seconds,
        "max_len": LARGEST,
        "timeout": 10,
        "rss_limit_mb": 1536,
        "print_final_stats": 1,
        "verbosity": 0,
        "dict": dictionary,
    }
    known = [CORPUS / options.target] if (CORPUS / options.target).is_dir() else []
    arguments = [sys.argv[0], *(f"-{name}={value}" for name, value in settings.items()), corpus, *known]
    atheris.Setup(list(map(str, arguments)), targets.TARGETS[options.target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
