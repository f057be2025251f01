"""The token ledger: sampled ids stay as they were, and every prompt extends the previous one."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest
import tiktoken
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from hero.chat.base import Chat, drift_tokens
from hero.chat.template import MARK, TemplateChat
from hero.chat.tiktoken import TiktokenChat
from hero.errors import ConfigError, PolicyError
from hero.models import tiny
from hero.testing.laws import check_chat
from hero.testing.strategies import conversations
from hero.testing.templates import (
    APPEND_ONLY,
    CHATML,
    LAST,
    LOOP,
    NO_TOOLS,
    SPECIAL,
    STOPS,
    TOOLS,
    WHOLE,
    tokenizer,
)
from hero.types import JSON, Message, Tools
from tests.tiny_models import ENCODING

TINY = TiktokenChat(ENCODING)
COUNTING = TemplateChat(tokenizer("{{ messages | length }} messages\n" + CHATML))
pieces = st.one_of(
    st.text(max_size=6),
    st.sampled_from(
        [*SPECIAL, *TiktokenChat.SPECIAL, "\n", "\n\n", " ", " ab", "[INST]", "</think>\n", MARK, f"{MARK}0;"]
    ),
)
contents = st.lists(pieces, max_size=5).map("".join)


def schema(name: str, about: str) -> dict[str, JSON]:
    """Makes the schema of one tool."""
    return {
        "type": "function",
        "function": {"name": name, "description": about, "parameters": {"type": "object", "properties": {}}},
    }


tools = st.none() | st.builds(
    Tools, st.lists(st.builds(schema, st.just("cancel"), contents), min_size=1, max_size=2).map(tuple), contents
)


@cache
def chat_of(name: str) -> Chat:
    return TINY if name == "tiny" else TemplateChat(tokenizer(APPEND_ONLY[name]))


def vocabulary(chat: Chat) -> int:
    return len(tokenizer(None)) if isinstance(chat, TemplateChat) else ENCODING.n_vocab


def sampled(chat: Chat) -> st.SearchStrategy[tuple[int, ...]]:
    """Draws any ids that a model may sample: ended by a stop token or cut off."""
    ordinary = st.integers(0, vocabulary(chat) - 1).filter(lambda token: token not in chat.stop_ids)
    stops = st.sampled_from([(), *((token,) for token in sorted(chat.stop_ids))])
    return st.builds(lambda ids, stop: (*ids, *stop) or (0,), st.lists(ordinary, max_size=6), stops)


def episodes(chat: Chat) -> st.SearchStrategy[list[list[Message]]]:
    """Draws the growing prompts of an episode whose actions are any ids."""
    return conversations(chat, said=contents, sampled=sampled(chat), tools=tools)


@pytest.mark.parametrize("name", ["tiny", *APPEND_ONLY])
def test_our_chats_keep_the_laws(name: str) -> None:
    check_chat(chat_of(name), contents, sampled(chat_of(name)))


@pytest.mark.parametrize("name", ["tiny", *APPEND_ONLY])
@given(question=st.text("ab: \n", max_size=8), text=st.text("ab:", min_size=1, max_size=8))
def test_a_reply_has_the_ids_with_which_it_would_have_been_sampled(name: str, question: str, text: str) -> None:
    chat = chat_of(name)
    ids = tuple(chat.encode_reply(text))
    assert chat.decode(ids).strip() == text
    assert [id_ in chat.stop_ids for id_ in ids] == [False] * (len(ids) - 1) + [True]
    before, after = Message("user", question), Message("user", "b")
    sampled, written = (chat.encode([before, Message("assistant", text, given_ids), after]) for given_ids in (ids, ()))
    assert spelt(name, sampled) == spelt(name, written)  # a tokenizer may merge a header with what follows it


OPENINGS: Final = {"thinking": "<think>\n", "preset": "<think>\n\n</think>\n\n", "closed": "<think>", "blank": "\n"}
"""What templates open a reply with, and leave out of text from the past that no model has sampled."""


def spelt(name: str, ids: Sequence[int]) -> str:
    """Returns the text of a prompt, stop tokens included, without what opens replies."""
    chat = chat_of(name)
    text: str = chat.tokenizer.decode(ids) if isinstance(chat, TemplateChat) else ENCODING.decode(ids)
    text = text.replace("</s><end_of_turn>", "<end_of_turn>")  # channels ends past replies in another way
    text = text.replace(OPENINGS.get(name, MARK), "")
    return text.replace("</think>", "") if name == "closed" else text  # this it writes in the past alone


@settings(max_examples=50)
@given(data=st.data())
def test_a_template_that_rewrites_the_past_drifts_and_still_encodes_nothing_again(data: st.DataObject) -> None:
    chat = COUNTING
    prompts = data.draw(episodes(chat))
    for before, now in pairwise(prompts):
        encoded, ids = chat.encode(now), now[-2].ids
        assert drift_tokens(chat.encode(before) + list(ids), encoded) > 0
        assert any(tuple(encoded[start : start + len(ids)]) == ids for start in range(len(encoded)))


@pytest.mark.parametrize("name", ["chatml", "llama3"])
@given(texts=st.lists(contents, min_size=1, max_size=5))
def test_without_sampled_ids_a_prompt_is_what_transformers_makes_of_it(name: str, texts: list[str]) -> None:
    roles = ["user", "assistant"] * len(texts)
    messages = [Message(role, text) for role, text in zip(roles, texts[: len(texts) // 2 * 2 + 1], strict=False)]  # type: ignore[arg-type]
    messages = messages if messages[-1].role == "user" else messages[:-1]
    chat = chat_of(name)
    plain = [{"role": message.role, "content": message.content} for message in messages]
    expected = tokenizer(APPEND_ONLY[name]).apply_chat_template(plain, add_generation_prompt=True, return_dict=False)
    assert chat.encode(messages) == expected


SAMPLED_HEADERS: Final = {
    "mistral": " ", "last": " ", "unthinking": "<think></think>\n",
    "channels": "<|start_header_id|>final<|end_header_id|>",
}  # fmt: skip
"""What templates write before past actions, and the model before its own."""


@pytest.mark.parametrize("name", list(APPEND_ONLY))
@given(observations=st.lists(st.text("ab: \n", max_size=8), min_size=2, max_size=4), action=st.text("ab:", min_size=1))
def test_sampled_ids_stand_where_the_template_puts_the_action(name: str, observations: list[str], action: str) -> None:
    """Decodes the prompt with ids: it equals the text that the template renders without them."""
    chat, model = chat_of(name), tokenizer(APPEND_ONLY[name])
    ids = (*model.encode(SAMPLED_HEADERS.get(name, "") + action), *model.encode(STOPS[name]))
    with_ids, without = [], []
    for observation in observations:
        with_ids += [Message("user", observation), Message("assistant", action, ids)]
        without += [Message("user", observation), Message("assistant", action)]
    decoded = [spelt(name, chat.encode(messages[:-1])) for messages in (with_ids, without)]
    assert decoded[0] == decoded[1]


@pytest.mark.parametrize("name", list(OPENINGS))
def test_a_sampled_action_stays_behind_the_thought_that_it_was_sampled_behind(name: str) -> None:
    chat, model = chat_of(name), tokenizer(APPEND_ONLY[name])
    ids = (*model.encode("ab"), *model.encode(STOPS[name]))
    prompt = chat.encode([Message("user", "a"), Message("assistant", "ab", ids), Message("user", "b")])
    opened = f"<|im_start|>assistant\n{OPENINGS[name]}"
    assert model.decode(prompt).count(opened) == 2
    assert opened + "ab<|im_end|>" in model.decode(prompt)


def test_what_ends_a_thought_in_a_channel_ends_no_reply() -> None:
    chat, model = chat_of("channels"), tokenizer(APPEND_ONLY["channels"])
    assert {*model.encode("<end_of_turn>")}.isdisjoint(chat.stop_ids)
    thought = "<|start_header_id|>analysis<|end_header_id|>ab<end_of_turn><start_of_turn>assistant"
    said = f"{thought}<|start_header_id|>final<|end_header_id|>b"
    ids = (*model.encode(said), *model.encode("</s>"))
    prompt = chat.encode([Message("user", "a"), Message("assistant", "", ids), Message("user", "b")])
    assert said + "</s><end_of_turn>" in model.decode(prompt)  # without the header of a second message
    assert chat.decode(ids) == said
    assert chat.decode(chat.encode_reply("b")) == "b"


@pytest.mark.parametrize("name", ["mistral", "gemma", "silent"])
def test_system_text_opens_the_first_user_message_where_a_template_has_no_system_role(name: str) -> None:
    chat = chat_of(name)
    folded = chat.encode([Message("user", "be brief\n\nhello"), Message("assistant", "x"), Message("user", "more")])
    system = [
        Message("system", "be brief"),
        Message("user", "hello"),
        Message("assistant", "x"),
        Message("user", "more"),
    ]
    assert chat.encode(system) == folded


CANCEL = schema("cancel", "Cancels an order.")
DESK = Message("system", "Be kind. Call cancel(order).", tools=Tools((CANCEL,), "Be kind."))


@pytest.mark.parametrize("name", list(TOOLS))
def test_tools_reach_a_template_that_writes_them_in_place_of_the_words_for_them(name: str) -> None:
    messages = [DESK, Message("user", "hello"), Message("assistant", "yes?"), Message("user", "cancel it")]
    plain = [{"role": message.role, "content": message.content} for message in messages]
    plain[0]["content"] = "Be kind."
    model = tokenizer(TOOLS[name])
    expected = model.apply_chat_template(plain, tools=[CANCEL], add_generation_prompt=True, return_dict=False)
    assert chat_of(name).encode(messages) == expected
    text = model.decode(expected)
    assert text.count("Cancels an order.") == 1
    assert "Call cancel(order)" not in text


def moved() -> str:
    return tokenizer(LAST).apply_chat_template([{"role": "user", "content": "?"}], tools=[CANCEL], tokenize=False)


@pytest.mark.parametrize("name", ["tiny", "chatml", "gemma", "last"])
def test_tools_stay_words_where_a_template_knows_none_or_moves_them(name: str) -> None:
    chat, rest = chat_of(name), [Message("user", "hello")]
    assert chat.encode([DESK, *rest]) == chat.encode([Message("system", DESK.content), *rest])
    assert "Cancels an order." in moved()


@pytest.mark.parametrize("name", list(NO_TOOLS))
def test_tools_stay_words_where_the_template_would_not_do_them_justice(name: str) -> None:
    chat, rest = TemplateChat(tokenizer(NO_TOOLS[name])), [Message("user", "hello")]
    assert chat.encode([DESK, *rest]) == chat.encode([Message("system", DESK.content), *rest])
    assert chat_of("hermes").encode([DESK, *rest]) != chat_of("hermes").encode([Message("system", DESK.content), *rest])


def test_a_template_that_cannot_write_a_conversation_is_refused() -> None:
    with pytest.raises(PolicyError, match="cannot write this conversation: Conversation roles must alternate"):
        chat_of("gemma").encode([Message("user", "a"), Message("user", "b")])
    for template, reason in (
        ("{{ messages[0].kind.name }}", "no attribute 'kind'"),
        ("{% for %}", "Expected an expression"),
    ):
        with pytest.raises(ConfigError, match=f"cannot be used .*{reason}"):
            TemplateChat(tokenizer(template))


def test_a_system_role_is_used_where_there_is_one() -> None:
    text = tokenizer(CHATML).decode(chat_of("chatml").encode([Message("system", "be brief"), Message("user", "hello")]))
    assert text == "<|im_start|>system\nbe brief<|im_end|>\n<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize("name", list(APPEND_ONLY))
def test_replies_end_with_what_the_template_ends_them_with(name: str) -> None:
    model = tokenizer(APPEND_ONLY[name])
    endings = {model.convert_tokens_to_ids(token) for token in ("</s>", STOPS[name])}
    assert TemplateChat(model).stop_ids == endings
    assert TemplateChat(model, [7, 9]).stop_ids == endings | {7, 9}


def test_a_tokenizer_without_template_is_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigError, match="instruct version"):
        TemplateChat(tokenizer(None))


def test_a_template_without_any_stop_token_is_refused() -> None:
    template = "{% for message in messages %}{{ message['content'] + '\n' }}{% endfor %}"
    with pytest.raises(ConfigError, match="eos_token"):
        TemplateChat(tokenizer(template, None))


UNFAITHFUL: Final = {
    "hides the past": "{{ messages[-1]['content'] }}",
    "hides the assistant": "{% for message in messages %}{% if message['role'] == 'user' %}" + WHOLE + "{% endif %}"
    "{% endfor %}",
    "hides the user": "{% for message in messages %}{% if message['role'] != 'user' or loop.last %}"
    + WHOLE
    + "{% endif %}"
    "{% endfor %}",
    "writes twice": LOOP.replace(WHOLE, WHOLE + "{% if message['role'] == 'assistant' %}" + WHOLE + "{% endif %}"),
    "repeats the last": LOOP + "{% if messages|length > 1 %}{{ messages[-2]['content'] }}{% endif %}",
    "begins with it": LOOP.replace(WHOLE, "{{ message['content'][:1] }}" + WHOLE),
    "turns around": LOOP.replace("in messages", "in messages | reverse"),
    "speaks in chorus": "{% for role in ['user', 'assistant'] %}"
    + LOOP.replace(WHOLE, "{% if message['role'] == role %}" + WHOLE + "{% endif %}")
    + "{% endfor %}",
    "cuts short": LOOP.replace(WHOLE, "{{ message['content'][:1] + eos_token }}"),
    "summarises": LOOP.replace(WHOLE, "{{ message['content'] | length }}{{ eos_token }}"),
}


@pytest.mark.parametrize("fault", UNFAITHFUL)
def test_a_template_that_drops_or_repeats_messages_is_refused(fault: str) -> None:
    with pytest.raises(ConfigError, match="drops, reorders or repeats messages"):
        TemplateChat(tokenizer(UNFAITHFUL[fault]))


@pytest.mark.parametrize(
    "fault", [fault for fault in UNFAITHFUL if fault not in ("hides the user", "speaks in chorus")]
)
def test_a_template_that_drops_or_repeats_messages_only_later_is_refused_then(fault: str) -> None:
    later = f"{{% if messages | length > 5 %}}{UNFAITHFUL[fault]}{{% else %}}{LOOP}{{% endif %}}"
    chat = TemplateChat(tokenizer(later))
    messages = [Message("user", "a"), Message("assistant", "b", (1,))] * 3 + [Message("user", "a")]
    assert 1 in chat.encode(messages[:3])
    with pytest.raises(PolicyError, match="does not repeat the assistant's messages as they were"):
        chat.encode(messages)


def test_the_words_of_the_user_may_be_written_again() -> None:
    again = LOOP + "{{ 'Remember: ' + messages[0]['content'] }}"
    assert TemplateChat(tokenizer(again)).encode([Message("user", "ab")]) == tokenizer(None).encode(
        "ab</s>Remember: ab", add_special_tokens=False
    )


@pytest.mark.parametrize("name", ["chatml", "gemma", "mistral"])
@pytest.mark.parametrize("prepends", ["first", "each"])
def test_a_reply_has_no_blank_that_a_tokenizer_adds_to_a_text(prepends: str, name: str) -> None:
    """As those of Llama 2, Mistral and Phi 3 do, to the beginning of a text or to what follows a special token."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    bytewise = copy.deepcopy(tokenizer(APPEND_ONLY[name]))
    merges = [("▁", "a"), ("▁", "▁"), ("a", "b"), ("▁a", "b")]
    ids: dict[str, int] = {}
    for token in ["?", "▁", *map(chr, range(10, 127)), *map("".join, merges)]:
        ids.setdefault(token, len(ids))
    backend = Tokenizer(models.BPE(vocab=ids, merges=merges, unk_token="?"))
    if prepends == "first":
        backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
        backend.decoder = decoders.Metaspace(prepend_scheme="first", split=False)
    else:
        backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    made = PreTrainedTokenizerFast(tokenizer_object=backend, **bytewise.special_tokens_map)
    made.add_special_tokens({"additional_special_tokens": [token for token in SPECIAL if "s>" not in token]})
    made.chat_template = bytewise.chat_template
    chat = TemplateChat(made)
    rest = [Message("user", "b")]
    written = chat.encode([*rest, Message("assistant", "ab"), *rest])
    assert chat.encode([*rest, Message("assistant", "ab", tuple(chat.encode_reply("ab"))), *rest]) == written


HALVES: Final = "ab \ud800 c\udfff"


@pytest.mark.parametrize("name", ["tiny", *APPEND_ONLY])
@given(st.text(st.characters() | st.characters(categories=["Cs"]), min_size=1, max_size=8))
@example(HALVES)
def test_every_text_is_read_halves_of_surrogate_pairs_too(name: str, text: str) -> None:
    system = Message("system", text, tools=Tools((schema("cancel", text),), text))
    encoded = chat_of(name).encode([system, Message("user", text), Message("assistant", text), Message("user", text)])
    assert max(encoded) < vocabulary(chat_of(name))


def test_half_a_surrogate_pair_reads_as_a_question_mark() -> None:
    assert chat_of("chatml").encode([Message("user", HALVES)]) == chat_of("chatml").encode([Message("user", "ab ? c?")])


def test_a_text_that_a_tokenizer_cannot_read_is_refused() -> None:
    from tokenizers import Tokenizer, models

    words = Tokenizer(models.WordLevel({"a": 0, "</s>": 1, "<unk>": 2}, unk_token="<unk>"))
    made = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="</s>")
    made.chat_template = LOOP
    chat = TemplateChat(made)
    made.backend_tokenizer.model = models.WordLevel({"a": 0, "</s>": 1}, unk_token="<none>")
    with pytest.raises(PolicyError, match=r"cannot write this conversation: .*UNK"):
        chat.encode([Message("user", "b")])


@given(contents)
def test_the_tiny_chat_reads_every_content_as_ordinary_text(text: str) -> None:
    system, user, assistant, end = range(259, 263)
    ordinary = ENCODING.encode(text, disallowed_special=())
    assert max(ordinary, default=0) < system
    assert TINY.encode([Message("system", text), Message("user", text)]) == [
        system, *ordinary, end, user, *ordinary, end, assistant
    ]  # fmt: skip
    assert TINY.decode([*ordinary, end]) == text


@given(st.lists(st.integers(0, 261), max_size=5), st.booleans())
def test_an_action_ends_once_in_the_tiny_chat(sampled: list[int], cut_off: bool) -> None:
    ids = tuple(sampled if cut_off and sampled else [*sampled, 262])
    messages = [Message("user", "a"), Message("assistant", "is not encoded", ids), Message("user", "b")]
    action = [*ids, *([] if ids[-1] == 262 else [262])]
    assert TINY.encode(messages) == [260, ord("a"), 262, 261, *action, 260, ord("b"), 262, 261]


def test_the_tiny_chat_needs_its_special_tokens() -> None:
    bare = tiktoken.Encoding("bare", pat_str=".", mergeable_ranks={b"a": 0}, special_tokens={"<|end|>": 1})
    with pytest.raises(ConfigError, match=r"bare.*<\|assistant\|>"):
        TiktokenChat(bare)


@given(contents)
def test_a_saved_vocabulary_reads_as_before(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path: Path = tmp_path_factory.mktemp("chat")
    TINY.save(path)
    messages = [Message("user", text)]
    assert tiny.load_chat(path).encode(messages) == TINY.encode(messages)


@given(st.lists(st.integers(0, 3)), st.lists(st.integers(0, 3)))
def test_drift_is_the_part_of_the_ledger_that_is_not_repeated(ledger: list[int], prompt: list[int]) -> None:
    repeated = max(size for size in range(len(ledger) + 1) if ledger[:size] == prompt[:size] and size <= len(prompt))
    assert drift_tokens(ledger, prompt) == len(ledger) - repeated
