"""What Discord's gateway means, and its voice gateway, whose codes are others."""

from __future__ import annotations

from ..rule_sets import RuleSet
from .rows import AUTHOR, CONFIGURATION, CREDENTIALS, OPERATOR, close_rows, error_rows, word_rows

_DOCS = "https://docs.discord.com/developers/topics/opcodes-and-status-codes"
_CLOSE = close_rows(f"Discord, gateway close codes: {_DOCS}#gateway-gateway-close-event-codes")
_OPCODE = word_rows(f"Discord, gateway opcodes: {_DOCS}#gateway-gateway-opcodes")
_RESUMING = close_rows(
    "Discord, resuming: https://docs.discord.com/developers/events/gateway#resuming"
)
_HEARTBEATS = error_rows(
    "Discord, heartbeats: https://docs.discord.com/developers/events/gateway#sending-heartbeats"
)
_NEVER_RESUMED = close_rows(
    "discord/discord-api-docs#7172: https://github.com/discord/discord-api-docs/pull/7172"
)
_VOICE = close_rows(f"Discord, voice close codes: {_DOCS}#voice-voice-close-event-codes")

DISCORD = RuleSet(
    "discord",
    (
        _RESUMING.again(1000, "normal closure"),
        _RESUMING.again(1001, "going away", resumable=True, planned=True),
        _RESUMING.again(1012, "service restart", resumable=True, planned=True),
        _CLOSE.again(4000, "unknown error", resumable=True),
        _NEVER_RESUMED.again(4001, "unknown opcode", who_must_act=AUTHOR),
        _CLOSE.again(4002, "decode error", who_must_act=AUTHOR, resumable=True),
        _CLOSE.again(4003, "not authenticated", who_must_act=AUTHOR),
        _CLOSE.never(4004, CREDENTIALS, "authentication failed"),
        _CLOSE.again(4005, "already authenticated", who_must_act=AUTHOR, resumable=True),
        _CLOSE.again(4007, "invalid sequence"),
        _CLOSE.again(4008, "rate limited", who_must_act=AUTHOR, resumable=True),
        _CLOSE.again(4009, "session timed out"),
        _CLOSE.never(4010, CONFIGURATION, "invalid shard"),
        _CLOSE.never(4011, CONFIGURATION, "sharding required"),
        _CLOSE.never(4012, AUTHOR, "invalid API version"),
        _CLOSE.never(4013, AUTHOR, "invalid intents"),
        _CLOSE.never(4014, CONFIGURATION, "disallowed intents"),
        # Whatever else ends a connection leaves its session to be resumed, the codes of RFC 6455
        # that are fatal elsewhere included.
        _RESUMING.again(range(1000, 4000), "the connection ended", resumable=True),
        _OPCODE.again(
            "op_7", "reconnect", planned=True, resumable=True, retry_after=0.0, reason="reconnect"
        ),
        _OPCODE.again("op_9_true", "invalid session", resumable=True, reason="invalid_session"),
        _OPCODE.again("op_9_false", "invalid session", reason="invalid_session"),
        # Opcode 11 that does not come: a zombie, which is closed and resumed.
        _HEARTBEATS.again("trio_instances.ProbeTimedOut", reason="probe_timeout", resumable=True),
    ),
)
"""Discord's gateway: close codes, and its opcodes 7 and 9 (with their ``d``) as words."""

DISCORD_VOICE = RuleSet(
    "discord_voice",
    (
        _VOICE.again(4001, "unknown opcode", who_must_act=AUTHOR),
        _VOICE.again(4002, "failed to decode payload", who_must_act=AUTHOR),
        _VOICE.again(4003, "not authenticated", who_must_act=AUTHOR),
        _VOICE.never(4004, CREDENTIALS, "authentication failed"),
        _VOICE.again(4005, "already authenticated", who_must_act=AUTHOR),
        _VOICE.again(4006, "session no longer valid"),
        _VOICE.again(4009, "session timeout"),
        _VOICE.again(4011, "server not found"),
        _VOICE.never(4012, AUTHOR, "unknown protocol"),
        _VOICE.never(4014, OPERATOR, "disconnected: kicked, or the session was dropped"),
        _VOICE.again(4015, "voice server crashed", resumable=True),
        _VOICE.never(4016, AUTHOR, "unknown encryption mode"),
        _VOICE.never(4017, AUTHOR, "end-to-end encryption required"),
        _VOICE.again(4020, "bad request", who_must_act=AUTHOR),
        _VOICE.never(4021, OPERATOR, "disconnected: rate limited"),
        _VOICE.never(4022, OPERATOR, "disconnected: the call has ended"),
    ),
)
"""Discord's voice gateway, where 4014 is another thing."""
