"""Does `echo` give a message back?"""

import pytest

import orchestrald_echo
from orchestrald.errors import ConfigError
from orchestrald.testing import actions_of, check_action


async def test_it_gives_the_message_back_behind_its_prefix():
    checked = await check_action(actions_of(orchestrald_echo, {"prefix": "> "})["echo"], {"message": "hi"})
    assert checked.output == {"result": "> hi"}


async def test_a_message_is_required_and_nothing_else_is_taken():
    for params in ({}, {"message": "x", "approved": True}, {"message": 1}):
        assert (await check_action(actions_of(orchestrald_echo)["echo"], params)).failure.code == "invalid_params"


def test_a_misspelt_setting_names_the_nearest():
    with pytest.raises(ConfigError, match="'prefx', did you mean 'prefix'"):
        actions_of(orchestrald_echo, {"prefx": "x"})
