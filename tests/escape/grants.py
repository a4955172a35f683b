"""Which plugins are there, and what has the operator granted to each? All of them are the burglar."""

GRANTS: dict[str, str] = {
    "burglar": "{}",
    "burglar-write": "{mode: workspace_write}",
    "burglar-unix": "{mode: workspace_write, unix_sockets: true}",
    "burglar-disk": "{fs_read: host}",
    "burglar-net": "{network: host}",
    "burglar-small": "{mode: workspace_write, limits: {workspace_growth: 32MiB, workspace_files: 300, cpu_time: 1s}}",
    "burglar-masked": "{mode: workspace_write, masked: [.env]}",
    "burglar-proxy": "{network: proxy, destinations: ['*.allowed.test:443', 'localhost:PORT']}",
    "burglar-closed": "{network: proxy, destinations: []}",
    "burglar-loader": "{}",
    "burglar-agent": "{env_pass: [SSH_AUTH_SOCK]}",
}
"""Plugins that differ in nothing but the operator's word, and in what CHANGES says of their manifests. PORT is that
of a listener on the machine's loopback."""

CHANGES: dict[str, dict[str, str]] = {
    "burglar-net": {"sandbox:\n": "sandbox:\n  net: {mode: full}\n"},
    "burglar-proxy": {
        "sandbox:\n": "sandbox:\n  net: {mode: allow, allow: ['*.allowed.test:443', 'localhost:PORT']}\n"
    },
    "burglar-small": {"limits: {": "limits: {memory: 200MiB, pids: 40, "},
    "burglar-loader": {"stop_timeout:": "env: {LD_PRELOAD: /nowhere/evil.so}\n  stop_timeout:"},
    "burglar-agent": {"stop_timeout:": "env_pass: [SSH_AUTH_SOCK]\n  stop_timeout:"},
}

CONFIG = """
server: {allow_uids: [0]}
runtime: {max_parallel_sandboxes: 4}
store: {durability: process_crash}
plugins:
  settings:
    files: {create_dirs: false}
"""
