"""Is the key that is named the one that an operator has to change?"""

import pytest

from orchestrald.config import Config
from orchestrald.config_file import parse
from orchestrald.runner.provenance import DEFAULT, Provenance

WRITTEN = """
sandbox: {network: host, limits: {memory: 1GiB}}
plugins:
  grants:
    loose: {mode: workspace_write, limits: {processes: 7}}
  settings:
    shell: {sandbox_mode: read_only, sandbox_allow_network: true}
"""


@pytest.fixture
def config() -> Config:
    return parse(WRITTEN, {}, "test")


def test_a_grant_comes_before_the_general_section_and_that_before_the_default(config: Config):
    loose, other = Provenance(config, "loose"), Provenance(config, "other")
    assert loose.key("mode") == "plugins.grants.loose.mode"
    assert (loose.key("network"), other.key("network")) == ("sandbox.network", "sandbox.network")
    assert other.key("mode") == loose.key("fs_read") == other.key("unix_sockets") == DEFAULT


def test_a_limit_is_traced_by_the_sandboxs_own_name_for_it(config: Config):
    loose = Provenance(config, "loose")
    assert loose.limit("processes") == "plugins.grants.loose.limits"
    assert loose.limit("memory_bytes") == "sandbox.limits"
    assert loose.limit("open_files") == DEFAULT


def test_a_plugins_own_setting_is_found_by_the_word_it_ends_in(config: Config):
    shell = Provenance(config, "shell")
    assert shell.setting("mode") == "plugins.settings.shell.sandbox_mode"
    assert shell.setting("network") == "plugins.settings.shell.sandbox_allow_network"
    assert shell.setting("fs_read") == "plugins.settings.shell"
