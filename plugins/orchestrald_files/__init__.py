"""Which file actions come with the daemon? `file_read` and `file_write`, beneath the workspace and nowhere else."""

from orchestrald_files.register import register_actions

__all__ = ["register_actions"]
