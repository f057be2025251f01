"""The chat templates of released models, as TRL packs them: each prompt begins with the prompt and action before it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from hero.chat.base import drift_tokens
from hero.chat.template import TemplateChat
from hero.errors import ConfigError
from hero.testing.templates import tokenizer
from hero.types import Message

SPEC = find_spec("trl")
FOLDER = Path(SPEC.origin or "").parent / "chat_templates" if SPEC else None
LISTS = ("idefics3", "llava", "smolvlm")
"""Templates that take lists as contents, which nothing here writes."""
FILES = sorted(file for file in FOLDER.glob("*.jinja") if not file.name.startswith(LISTS)) if FOLDER else []

pytestmark = pytest.mark.skipif(not FILES, reason="TRL, which has the templates, is not installed")


@pytest.mark.parametrize("thinks", [True, False])
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_templates_of_released_models_keep_every_prompt_as_it_was(file: Path, thinks: bool) -> None:
    try:
        chat = TemplateChat(
            tokenizer(file.read_text("utf-8")), template_args={} if thinks else {"enable_thinking": False}
        )
    except ConfigError as error:
        if thinks or "enable_thinking, which is not read" not in str(error):
            raise
        pytest.skip("the template has no such choice")
    ids = tuple(chat.encode_reply("click[b]"))
    talk = [Message("system", "be brief"), Message("user", "one")]
    for turn in range(3):
        ledger = [*chat.encode(talk), *ids]
        talk += [Message("assistant", "click[b]", ids), Message("user", f"page {turn}")]
        assert drift_tokens(ledger, chat.encode(talk)) == 0
