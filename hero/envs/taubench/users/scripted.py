"""A user by rules, for training and tests without a model: deterministic, and it knows only the text of the task.

The original's user is a language model, which is easier or harder to serve: their results cannot be compared.
"""

from __future__ import annotations

import re
from typing import Final

from hero.envs.taubench.task import ServiceTask
from hero.envs.taubench.users.base import STOP

PATIENCE: Final = 3
"""Number of messages in a row after which the user gives up, if they ask for nothing that the user knows."""

_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+(?=[A-Z'\"(])|\n+")
_EMAIL: Final = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.\w+)+")
_ZIP: Final = re.compile(r"(?<![\w#])\d{5}(?!\w)")
_USER_ID: Final = re.compile(r"\b[a-z]+_[a-z]+_\d+\b")
_ADDRESS: Final = re.compile(r"\baddress (?:is|to)\b")
"""An address to send something to; it says nothing about who the user is."""
_NAME: Final = re.compile(r"\b(?:name is|You are|You're|I am)\s+([A-Z][a-z]+ [A-Z][a-z]+)")
_ORDER: Final = re.compile(r"#W\d+|\b(?=\d*[A-Z])[A-Z0-9]{6}\b")
_PAYMENT: Final = re.compile(r"\b(?:pay|paypal|card|visa|mastercard|refund|payment|certificates?)", re.IGNORECASE)
_WANT: Final = re.compile(
    r"\b(?:want|wish|would like|'d like|need|cancel|return|exchange|change|modify|book|for #W)", re.IGNORECASE
)

_ASKS_IDENTITY: Final = re.compile(r"\b(?:identity|verify|authenticat|e-?mail|zip|your (?:full |last )?name|user id)")
_ASKS_ORDER: Final = re.compile(r"\b(?:which order|order (?:id|number)s?|reservation (?:id|number|code)s?)")
_ASKS_PAYMENT: Final = re.compile(r"\b(?:payment|pay |refund|which (?:card|method)|method)")
_ASKS_YES: Final = re.compile(
    r"\(yes|yes/no|yes or no|\bconfirm|\bproceed|go ahead|is (?:that|this) (?:correct|right|ok)"
    r"|(?:shall|should|may) i\b"
)
_ASKS_MORE: Final = re.compile(r"anything else|something else|further (?:help|assist)|else i can|other request")
_REPORTS: Final = re.compile(
    r"\b(?:has been|have been|was|were|is now|are now|successful|done|completed?|cannot|can't|unable|not able|sorry)\b"
)

_FIRST_PERSON: Final = (
    (r"\b[Yy]ou are\b", "I am"),
    (r"\b[Yy]ou're\b", "I'm"),
    (r"\b[Yy]ou've\b", "I've"),
    (r"\b[Yy]ou'd\b", "I'd"),
    (r"\bYour\b", "My"),
    (r"\byour\b", "my"),
    (r"\byours\b", "mine"),
    (r"\b[Yy]ourself\b", "myself"),
    (r"\b(for|to|with|of|by|from|gave|give|tell|told|send|sent|refund|help|let) you\b", r"\1 me"),
    (r"\b[Yy]ou\b", "I"),
)


class ScriptedUser:
    """Opens with the reason, identifies itself when asked, answers with those sentences of the task that fit the
    question, agrees to every proposal, and stops when the agent reports that it is done or refuses.

    Where the text does not answer a question, the user says so. Proposals are not checked: the reward shows whether
    they were right.
    """

    name = "scripted"

    def open(self, task: ServiceTask) -> str:
        """Returns the first sentence that wants something; the first sentence of all where none does."""
        sentences = [sentence.strip() for sentence in _SENTENCE.split(task.instruction) if sentence.strip()]
        self._text = task.instruction
        wishes = [sentence for sentence in sentences if _WANT.search(sentence)]
        self._wishes = wishes or sentences
        identity = (_EMAIL, _ZIP, _USER_ID, _NAME)
        self._details = [
            sentence
            for sentence in sentences
            if not _WANT.search(sentence)
            and (_ADDRESS.search(sentence) or not any(pattern.search(sentence) for pattern in identity))
        ]
        self._identified = False
        self._patience = PATIENCE
        return self._say(self._wishes[:1]) or "Hello."

    def reply(self, message: str) -> str:
        """Answers the first that a message asks for of: identity, further wishes, a yes, an order, the payment."""
        asked = message.lower()
        if _ASKS_IDENTITY.search(asked) and not (self._identified and _ASKS_YES.search(asked)):
            self._identified = True
            return self._identity(asked)
        if _ASKS_MORE.search(asked):
            return self._say(self._wishes[:1]) or STOP
        if _ASKS_YES.search(asked):
            self._patience = PATIENCE
            return self._conditions() or "Yes, please go ahead."
        if "?" in message and _ASKS_ORDER.search(asked):
            orders = list(dict.fromkeys(_ORDER.findall(self._text)))
            return f"It is {' and '.join(orders)}." if orders else "I do not remember the number."
        if "?" in message and _ASKS_PAYMENT.search(asked):
            about_payment = [sentence for sentence in [*self._wishes, *self._details] if _PAYMENT.search(sentence)]
            return self._say(about_payment) or self._lose_patience("I have nothing in mind about the payment.")
        if rest := self._say([*self._wishes, *self._details]):
            return rest
        if "?" not in message and _REPORTS.search(asked):
            return STOP
        return self._lose_patience("I have told you all that I know about it.")

    def _identity(self, asked: str) -> str:
        """Returns the facts about the user that are asked for and in the task; all in the task where none is."""
        about_user = " ".join(sentence for sentence in _SENTENCE.split(self._text) if not _ADDRESS.search(sentence))
        name, zips = _NAME.search(self._text), _ZIP.findall(about_user)
        facts = {
            "email": " ".join(_EMAIL.findall(self._text)[:1]),
            "name": name[1] if name else "",
            "zip": zips[0] if zips else "",
            "user id": " ".join(_USER_ID.findall(self._text)[:1]),
        }
        words = {
            "email": "my email is {}",
            "name": "my name is {}",
            "zip": "my zip code is {}",
            "user id": "my user id is {}",
        }
        available = [key for key, fact in facts.items() if fact]
        requested = [key for key in facts if key in asked.replace("e-mail", "email")]
        answered = [key for key in requested if key in available] or available
        parts = [words[key].format(facts[key]) for key in answered]
        parts += [f"I do not remember my {key}" for key in requested if key not in available]
        text = ", ".join(parts) or "I do not remember any of that"
        return f"{text[0].upper()}{text[1:]}."

    def _conditions(self) -> str:
        """Returns the sentences about being asked to confirm; "" if there are none left."""
        return self._say([words for words in [*self._wishes, *self._details] if "confirm" in words.lower()])

    def _say(self, sentences: list[str]) -> str:
        """Returns sentences in the first person, and removes them from those to come; "" for none."""
        used = set(sentences)
        self._wishes = [sentence for sentence in self._wishes if sentence not in used]
        self._details = [sentence for sentence in self._details if sentence not in used]
        text = " ".join(sentences)
        for pattern, replacement in _FIRST_PERSON:
            text = re.sub(pattern, replacement, text)
        return text

    def _lose_patience(self, words: str) -> str:
        self._patience -= 1
        return words if self._patience else STOP
