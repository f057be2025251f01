"""What `--learner` names: one learner or a weighted sum, with the defaults, needs and options of its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero import registry
from hero.distill.base import Example
from hero.distill.learners import GRPO, Distillation
from hero.distill.relatives import KL
from hero.distill.sums import Sum, Weighted
from hero.distill.teacher import HindsightTeacher
from hero.errors import ConfigError
from hero.types import Diagnosis, Group
from hero_cli import build
from hero_cli.arguments import read_arguments
from hero_cli.learner import read_learner
from hero_cli.provenance import versions
from hero_cli.resolve import IdleSettingError, extension, settings_of
from hero_cli.settings import option
from tests.cli.conftest import FAST, Hero, contents, refused

LEARNERS = registry.names("hero.learners")
weights = st.floats(1e-6, 100)


@given(st.lists(st.sampled_from(LEARNERS), min_size=1, max_size=3, unique=True), st.data())
def test_a_sum_is_read_as_it_is_written(names: list[str], data: st.DataObject) -> None:
    expected, texts = [], []
    for name in names:
        start = data.draw(weights)
        end = data.draw(st.none() | weights | st.just(0.0))
        if data.draw(st.booleans()):
            expected.append((name, 1.0, 1.0))
            texts.append(name)
        else:
            expected.append((name, start, start if end is None else end))
            texts.append(f"{name}:{start}" if end is None else f"{name}:{start}->{end}")
    parts = read_learner("+".join(texts)).parts
    assert [(part.name, part.start, part.end) for part in parts] == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("grpo+", "--learner 'grpo+' has a part without a name; write it as in grpo+kl:0.04"),
        ("", "--learner '' has a part without a name"),
        ("grpo+klo", "hero.learners has no 'klo'; did you mean 'kl'?"),
        ("grpo+kl:x", "--learner grpo+kl:x: 'x' is not a weight; give a number of at least 0, as in kl:0.5, or two"),
        ("grpo+kl:", "'' is not a weight"),
        ("grpo:-1", "'-1' is not a weight"),
        ("grpo:0->nan", "'nan' is not a weight"),
        ("grpo:0->inf", "'inf' is not a weight"),
        ("grpo:0->1->0", "'1->0' is not a weight"),
        ("grpo+kl:0", "--learner grpo+kl:0: with weight 0 kl does nothing; leave it out"),
        ("grpo+kl:0->0", "with weight 0 kl does nothing"),
        ("grpo+kl+grpo:0.5", "has grpo twice; name it once, with the sum of the weights"),
        ("base+grpo", "--learner base+grpo: base does not train; leave it out of the sum"),
        ("distill+kl", "different defaults of --teacher-weights (distill ema, kl frozen); give that option"),
    ],
)
def test_a_sum_that_is_not_possible_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        settings_of({"learner": text})
    assert message in str(refusal.value)


def test_a_sum_is_built_of_its_parts_with_their_weights_and_options() -> None:
    arguments = {"grpo.clip_high": 0.28, "distill.gate": 2}
    learner = read_learner("distill:1->0+grpo+kl:0.04").build(arguments, HindsightTeacher(reward=False))
    assert isinstance(learner, Sum)
    hindsight, rewards, start = learner.learners
    assert isinstance(hindsight, Weighted)
    assert (hindsight.start, hindsight.end) == (1.0, 0.0)
    assert isinstance(hindsight.learner, Distillation)
    assert isinstance(hindsight.learner.teacher, HindsightTeacher)
    assert (hindsight.learner.gate, hindsight.learner.teacher.reward) == (2, False)
    assert isinstance(rewards, GRPO)
    assert rewards.clip == (0.2, 0.28)
    assert isinstance(start, Weighted)
    assert (start.start, start.end, type(start.learner)) == (0.04, 0.04, KL)


def test_one_learner_needs_no_sum_and_its_options_no_name() -> None:
    for arguments in ({"clip": 0.1}, {"grpo.clip": 0.1}):
        learner = read_learner("grpo").build(arguments, None)
        assert isinstance(learner, GRPO)
        assert learner.clip == (0.1, 0.1)
    halved = read_learner("grpo:0.5").build({}, None)
    assert isinstance(halved, Weighted)


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        ("grpo+kl:0.04", {"clip": 0.1}, "--learner-arg clip: say of which part of grpo+kl:0.04, as in grpo.clip or kl"),
        ("grpo+kl:0.04", {"grp.clip": 0.1}, "--learner-arg grp.clip: grpo+kl:0.04 has no part 'grp'; it has grpo, kl"),
        ("grpo+openclaw", {"openclaw.clip": 0.1}, "openclaw (hero.learners) has no option 'clip'; it takes no options"),
        ("grpo+kl:0.04", {"grpo.clip": "x"}, "grpo (hero.learners): clip = 'x' is not possible; give a value of type"),
        ("grpo", {"distill.gate": 1}, "grpo has no part 'distill'; it has grpo"),
        ("distill+grpo", {"distill.teacher": "x"}, "teacher of distill (hero.learners) is given by the run"),
        ("gigpo", {"colour": 1}, "\n  clip: float = 0.2  (how far the ratio of the policy gradient may fall"),
        ("grpo", {"colour": 1}, "has no option 'colour'; it takes:\n  scale_rewards: bool = True  (whether to divide"),
    ],
)
def test_an_option_that_no_part_has_is_refused(text: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        build.check_components(settings_of({"learner": text, "learner_args": arguments}))
    assert message in str(refusal.value)


def test_the_part_is_named_on_the_command_line_for_learners_alone() -> None:
    assert read_arguments("learner_args", ["grpo.clip_high=0.28"]) == {"grpo.clip_high": 0.28}
    for name, item in (("learner_args", "grpo.=1"), ("learner_args", "grpo.a b=1"), ("env_args", "grpo.level=hard")):
        with pytest.raises(ConfigError, match="is not key=value"):
            read_arguments(name, [item])


NEEDS = ("group_size", "reflector", "teacher", "teacher_weights", "divergence")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("base", (1, None, None, None, None)),
        ("distill", (1, "self", "hindsight", "ema", "reverse_kl")),
        ("grpo", (8, None, None, None, None)),
        ("gigpo", (8, None, None, None, None)),
        ("kl", (1, None, None, "frozen", "reverse_kl")),
        ("feedback", (1, None, None, "ema", "reverse_kl")),
        ("demo", (8, None, None, "ema", "reverse_kl")),
        ("sdpo", (8, None, None, "ema", "reverse_kl")),
        ("sdar", (8, "self", "hindsight", "ema", "reverse_kl")),
        ("hint", (1, "self", "hindsight", "ema", "reverse_kl")),
        ("openclaw", (1, "self", None, "ema", "reverse_kl")),
        ("grpo+kl:0.04", (8, None, None, "frozen", "reverse_kl")),
        ("distill:1->0+grpo:0->1", (8, "self", "hindsight", "ema", "reverse_kl")),
        ("feedback+openclaw", (1, "self", None, "ema", "reverse_kl")),
    ],
)
def test_a_setting_is_of_no_use_only_if_no_part_has_a_use_for_it(text: str, expected: tuple[object, ...]) -> None:
    settings = settings_of({"learner": text})
    assert tuple(getattr(settings, name) for name in NEEDS) == expected
    values = {"group_size": 8, "reflector": "rules", "teacher": "hindsight"}
    values |= {"teacher_weights": "ema", "divergence": "forward_kl"}
    for name, wanted in zip(NEEDS, expected, strict=True):
        given = {"learner": text, name: values[name]}
        if wanted is None or settings.steps == 0:
            with pytest.raises(IdleSettingError) as refusal:
                settings_of(given)
            assert str(refusal.value).startswith(f"{option(name)} {values[name]} does nothing with --learner {text}")
        else:
            assert getattr(settings_of(given), name) == values[name]


def test_every_learner_of_ours_is_in_that_table() -> None:
    (table,) = (
        mark.args[1]
        for mark in test_a_setting_is_of_no_use_only_if_no_part_has_a_use_for_it.pytestmark  # type: ignore[attr-defined]
    )
    assert {text for text, _ in table} >= set(LEARNERS)


def test_different_defaults_of_a_setting_that_is_given_do_not_matter() -> None:
    assert settings_of({"learner": "distill+kl:0.1", "teacher_weights": "frozen"}).teacher_weights == "frozen"


def test_a_run_of_the_base_only_evaluates() -> None:
    assert settings_of({"learner": "base"}).steps == 0
    with pytest.raises(ConfigError, match="--turn-budget 9 does nothing with --learner base"):
        settings_of({"learner": "base", "turn_budget": 9})
    for name, value in {"learning_rate": 1e-3, "episodes": 9, "steps": 2, "eval_every": 3}.items():
        with pytest.raises(IdleSettingError, match=f"{value} does nothing with --learner base, which does not train"):
            settings_of({"learner": "base", name: value})
    assert settings_of({"learner": "base", "lora": 4}).lora == 4


@pytest.mark.parametrize("text", ["sdpo", "sdar", "grpo", "gigpo", "distill+grpo:0.5", "kl+sdpo"])
def test_what_compares_siblings_needs_groups(text: str) -> None:
    given = {"teacher_weights": "ema"} if "+" in text else {}
    with pytest.raises(ConfigError, match=r"--group-size 1 leaves .* nothing to compare; give at least 2"):
        settings_of({"learner": text, "group_size": 1} | given)


@pytest.mark.parametrize("text", ["kl", "grpo+kl:0.04"])
def test_a_pull_towards_the_current_weights_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--teacher-weights live leaves the learner kl nothing to do; give another"):
        settings_of({"learner": text, "teacher_weights": "live"})
    assert settings_of({"learner": text, "teacher_weights": "ema"}).teacher_weights == "ema"


def test_a_learner_that_changes_cannot_become_longer() -> None:
    settings = settings_of({"learner": "distill:1->0+grpo:0->1", "steps": 4})
    assert extension(settings, {"steps": 4}) == {}
    with pytest.raises(ConfigError, match=r"changes in the course of a run.*another --out"):
        extension(settings, {"steps": 8})
    assert extension(settings_of({"learner": "grpo+kl:0.04", "steps": 4}), {"steps": 8}) == {"steps": 8}


class Own:
    """A learner of another package, which distils with a teacher of its own."""

    defaults: ClassVar[Mapping[str, Any]] = {"teacher_weights": "live", "steps": 30, "group_size": 4}

    def at(self, progress: float) -> Own:
        return self

    def examples(self, group: Group, diagnoses: Sequence[Diagnosis]) -> list[Example]:
        return []


class Plain:
    """A learner of another package, which brings nothing along."""

    def examples(self, group: Group, diagnoses: Sequence[Diagnosis]) -> list[Example]:
        return []


@pytest.fixture
def foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registers the learners of another package besides ours."""
    ours = registry.entry_points

    def entry_points(*, group: str, **params: str) -> Any:
        own = [EntryPoint(name.lower(), f"{__name__}:{name}", "hero.learners") for name in ("Own", "Plain")]
        added = [entry for entry in own if group == entry.group and params.get("name", entry.name) == entry.name]
        return [*ours(group=group, **params), *added]

    monkeypatch.setattr("hero.registry.entry_points", entry_points)


@pytest.mark.usefixtures("foreign")
def test_a_learner_without_a_teacher_takes_no_setting_of_one_unless_it_says_so() -> None:
    for name, value in (("teacher", "hindsight"), ("teacher_weights", "live"), ("divergence", "forward_kl")):
        with pytest.raises(ConfigError, match=f"{value} does nothing with --learner plain"):
            settings_of({"learner": "plain", name: value})
    with pytest.raises(ConfigError, match="--teacher hindsight does nothing with --learner own"):
        settings_of({"learner": "own", "teacher": "hindsight"})
    settings = settings_of({"learner": "own", "divergence": "forward_kl"})
    assert (settings.teacher_weights, settings.divergence, settings.reflector) == ("live", "forward_kl", "self")


@pytest.mark.usefixtures("foreign")
def test_a_learner_of_another_package_is_part_of_a_sum() -> None:
    settings = settings_of({"learner": "own+grpo:0.5"})
    assert (settings.steps, settings.group_size, settings.teacher_weights) == (30, 8, "live")
    learner = build.make_learner(settings)
    assert isinstance(learner, Sum)
    assert isinstance(learner.learners[0], Own)
    with pytest.raises(ConfigError, match="changes in the course"):
        extension(settings, {"steps": 60})


def test_versions_are_those_of_all_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def entry_points(*, group: str, name: str) -> list[EntryPoint]:
        asked.append((group, name))
        return []

    monkeypatch.setattr("hero_cli.provenance.entry_points", entry_points)
    versions(settings_of({"learner": "grpo+kl:0.04"}))
    assert [name for group, name in asked if group == "hero.learners"] == ["grpo", "kl"]


def test_a_sum_is_trained_under_a_plain_name_and_does_not_become_longer(hero: Hero, model: str, tmp_path: Path) -> None:
    fading = ["--learner", "distill:1->0+demo:0->1", "--group-size", 2, "--steps", 2]
    assert hero("run", "--model", model, *FAST, *fading).exit_code == 0
    run = tmp_path / "runs" / "guess-distill-1-0-demo-0-1-seed0"
    before = contents(run)
    assert hero("run", "--resume", "--out", run, "--steps", 2).exit_code == 0
    assert contents(run) == before
    refused(hero("run", "--resume", "--out", run, "--steps", 4), "changes in the course of a run", "another --out")
