"""Which action runs a command line? `shell`, inside the sandbox unless the operator says otherwise."""

from orchestrald_shell.register import register_actions

__all__ = ["register_actions"]
