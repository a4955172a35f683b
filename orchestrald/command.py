"""What does the console script `orchestrald` do with its arguments, and how does it say that it could not start?"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import trio

from orchestrald import home, logs
from orchestrald.config_file import load
from orchestrald.core.redaction import Redaction
from orchestrald.errors import AlreadyRunning, ConfigError, OrchestralError, SchemaTooNew
from orchestrald.hardening import harden
from orchestrald.paths import Paths
from orchestrald.providers import redaction
from orchestrald.service import serve
from orchestrald.version import VERSION

log = logging.getLogger("orchestrald.service")

EX_SOFTWARE, EX_TEMPFAIL, EX_CONFIG = 70, 75, 78


def main(argv: Sequence[str] | None = None) -> None:
    """The console script `orchestrald`. Exit status: 0 stopped, 70 our bug, 75 already running, 78 configuration."""
    sys.exit(_main(sys.argv[1:] if argv is None else argv))


def _main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="orchestrald",
        description="The daemon. `orchestral` is its client, and starts it when it is needed.",
        epilog="Exit status: 0 stopped as asked, 70 a bug (please report the log), 75 another daemon holds this home, "
        "78 the configuration or the store cannot be used.",
    )
    parser.add_argument("--version", action="version", version=f"orchestrald {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serving = commands.add_parser("serve", help="run in the foreground until SIGTERM")
    serving.add_argument("--config", type=Path, metavar="FILE", help="instead of orchestral.yaml in the config folder")
    options = parser.parse_args(argv)
    try:
        return _serve(options.config)
    except AlreadyRunning as error:
        _tell(f"{error.message} {error.advice}")
        return EX_TEMPFAIL
    except (ConfigError, SchemaTooNew) as error:
        _tell(f"{error.message}\n{error.advice}")
        return EX_CONFIG
    except OrchestralError as error:
        _tell(f"{error.message}\n{error.advice}")
        return EX_SOFTWARE
    except Exception:
        log.exception("orchestrald died of a bug")
        return EX_SOFTWARE


def _tell(text: str) -> None:
    """To whoever has started us; the log may not be open yet, and the settings not be read."""
    print(f"orchestrald: {Redaction([os.environ.get('OPENAI_API_KEY', '')])(text)}".strip(), file=sys.stderr)


def _serve(config_file: Path | None) -> int:
    harden()
    paths = Paths.find()
    path = config_file or Path(paths.config_file)
    config = load(path, os.environ)
    if config_file is not None and not path.exists():
        raise ConfigError(f"There is no configuration file {path}.")
    seen = config.observability
    logs.configure(seen.log_level, seen.log_file, seen.log_format, redaction(config, os.environ))
    home.prepare(paths, passable=config.sandbox.run_as is not None)
    with home.lock(paths.lock):
        try:
            trio.run(serve, paths, config, path)
        except BaseExceptionGroup as group:
            error = _only(group)
            if isinstance(error, OrchestralError):
                raise error from None
            raise
    log.info("stopped")
    return 0


def _only(error: BaseException) -> BaseException:
    """What a chain of groups with one member each is about."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
