"""What counts as said, and how it reads."""

from orchestrald.core.dialogue import MESSAGES, is_message, messages
from orchestrald.core.events import TYPES, Event


def test_what_a_person_a_program_and_the_daemon_said_are_messages_and_traces_are_none() -> None:
    said = messages(
        [
            Event("interaction.submitted", {"intent": "survey"}, "t1", "i1", at=5, seq=1),
            Event("step.started", {"attempt": 1}, "t1", "i1", "a", seq=2),
            Event("external.event", {"kind": "mail", "payload": {"from": "x"}}, "t1", at=7, seq=3),
            Event("assistant.output", {"text": "done", "status": "completed"}, "t1", "i1", at=9, seq=4),
        ]
    )
    assert [(m.seq, m.at, m.role, m.text, m.interaction_id) for m in said] == [
        (1, 5, "user", "survey", "i1"),
        (3, 7, "event", 'mail: {"from":"x"}', ""),
        (4, 9, "assistant", "done", "i1"),
    ]


def test_every_type_of_event_is_a_message_by_its_kind_alone() -> None:
    for name, about in TYPES.items():
        assert is_message(Event(name, {}, "t1")) == (about.kind in MESSAGES), name
    assert not [name for name in TYPES if name.startswith("step.") and is_message(Event(name, {}, "t1"))]
