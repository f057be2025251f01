"""Settings: defaults, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hero import registry
from hero.distill.learners import GRPO
from hero.errors import ConfigError, RunError
from hero.runs.reader import Config
from hero.runs.sealed import seal
from hero.testing.strategies import json_values
from hero_cli import build
from hero_cli.arguments import read_arguments
from hero_cli.resolve import extension, require_unchanged, settings_of, settings_to_play, stored_settings
from hero_cli.settings import FIELDS, Settings, option


def test_settings_come_back_from_their_record() -> None:
    settings = settings_of({"env_args": {"level": "hard"}, "teacher_weights": "live", "steps": 3})
    assert Settings(**json.loads(json.dumps(settings.record()))) == settings


def test_a_turn_budget_alone_has_no_limit_of_steps() -> None:
    assert settings_of({"turn_budget": 100}).steps is None
    assert settings_of({"turn_budget": 100, "steps": 3}).steps == 3
    assert settings_of({}).steps == Settings().steps


def test_grpo_has_defaults_of_its_own_that_can_be_changed() -> None:
    assert settings_of({"learner": "grpo"}).group_size == 8
    assert settings_of({"learner": "grpo", "group_size": 4}).group_size == 4
    assert settings_of({"learner": "grpo"}).reflector is None


def test_an_environment_has_defaults_of_its_own_that_can_be_changed() -> None:
    assert settings_of({"env": "taubench"}).model == "tiny-taubench"
    assert settings_of({"env": "taubench", "model": "tiny"}).model == "tiny"
    assert settings_of({"env": "taubench", "learner": "grpo"}).max_turns == 30
    assert settings_of({"env": "taubench"}).steps == 6 < settings_of({"env": "taubench", "steps": 12}).steps
    assert settings_of({"env": "taubench", "turn_budget": 9000}).steps is None
    assert settings_of({"env": "taubench", "learner": "base"}).steps == 0


@pytest.mark.parametrize("group", ["hero.envs", "hero.learners"])
def test_the_help_says_of_which_settings_components_bring_the_default(group: str) -> None:
    for name in registry.names(group):
        brought = getattr(registry.load(group, name), "defaults", {})
        not_trained = {"steps", "turn_budget"} if brought.get("steps") == 0 else set()
        for setting in brought.keys() - not_trained:
            assert "brings" in FIELDS[setting].metadata["shown"], f"{name} brings {setting}"


def test_threads_follow_the_environment_and_then_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert settings_of({}).threads == 3
    assert settings_of({"threads": 2}).threads == 2
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert settings_of({}).threads == len(os.sched_getaffinity(0))


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True).filter(lambda name: name != "split"), json_values))
def test_env_args_are_read_as_json(arguments: dict[str, object]) -> None:
    assert read_arguments("env_args", [f"{name}={json.dumps(value)}" for name, value in arguments.items()]) == arguments


def test_arguments_that_are_not_json_are_strings() -> None:
    assert read_arguments("env_args", ["level=hard", "data=/a/b=c", "n=3", "x="]) == {
        "level": "hard",
        "data": "/a/b=c",
        "n": 3,
        "x": "",
    }


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (["level"], "'level' is not key=value"),
        (["=3"], "'=3' is not key=value"),
        (["a b=3"], "'a b=3' is not key=value"),
        (["a=1", "a=2"], "--env-arg a is given twice"),
        (["split=test"], "split cannot be given: hero eval and hero play take --split"),
    ],
)
def test_malformed_env_args_are_refused(items: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_arguments("env_args", items)


def stored(path: Path, record: dict[str, object]) -> Settings:
    (path / "config.json").write_bytes(seal(Config(record, {}, "0").record()))
    return stored_settings(path)


def test_settings_are_stored_and_read(tmp_path: Path) -> None:
    for settings in (
        settings_of({}),
        settings_of({"learner": "grpo", "turn_budget": 3, "env_args": {"level": "easy"}}),
    ):
        assert stored(tmp_path, settings.record()) == settings
    assert stored(tmp_path, settings_of({}).record() | {"learning_rate": 1}).learning_rate == 1


@pytest.mark.parametrize(
    ("given", "env", "arguments"),
    [
        ({}, "gym", {"id": "CliffWalking-v1", "tasks": 5}),
        ({"env_args": {"actions": [1]}}, "gym", {"id": "CliffWalking-v1", "tasks": 5, "actions": [1]}),
        ({"env": "gym:CliffWalking-v1", "env_args": {"tasks": 6}}, "gym", {"id": "CliffWalking-v1", "tasks": 6}),
        ({"env": "gym:Taxi-v3"}, "gym", {"id": "Taxi-v3"}),
        ({"env": "webshop"}, "webshop", {}),
        ({"env": "webshop", "env_args": {"level": "hard"}}, "webshop", {"level": "hard"}),
    ],
)
def test_arguments_of_a_runs_environment_stay_unless_another_is_named(
    tmp_path: Path, given: dict[str, object], env: str, arguments: dict[str, object]
) -> None:
    stored(tmp_path, settings_of({"env": "gym:CliffWalking-v1", "env_args": {"tasks": 5}}).record())
    settings = settings_to_play(str(tmp_path), tmp_path, given)
    assert (settings.env, settings.env_args) == (env, arguments)


@pytest.mark.parametrize(
    "given",
    [
        {"env": "gym:CliffWalking-v1"},
        {"env": "gym:CliffWalking-v1", "env_args": {"tasks": 5}},
        {"reflector": "openai:someone/large", "reflector_args": {"max_new_tokens": 64}},
        {"reflector": "local:tiny"},
        {"reflector": "rules"},
        {"learner": "grpo"},
    ],
)
def test_what_a_run_was_started_with_is_no_change(given: dict[str, object]) -> None:
    require_unchanged(Path("run"), settings_of(given), given)
    for name in ("env", "reflector"):  # the name alone says nothing of its options
        if name in given:
            require_unchanged(Path("run"), settings_of(given), {name: given[name]})
    for name, other in (("env", "gym:Taxi-v3"), ("reflector", "openai:small")):
        with pytest.raises(RunError, match=rf"run was started with --{name}.*, not .*; resume without that option"):
            require_unchanged(Path("run"), settings_of(given), {name: other})


@pytest.mark.parametrize("change", [{"colour": "red"}, {"seed": ...}])
def test_settings_of_another_version_are_refused(tmp_path: Path, change: dict[str, object]) -> None:
    record = {name: value for name, value in (Settings().record() | change).items() if value is not ...}
    with pytest.raises(RunError, match=r"holds settings of another version \((colour|seed)\)"):
        stored(tmp_path, record)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": -1},
        {"temperature": 0},
        {"learning_rate": -1.0},
        {"threads": 0},
        {"beta": 1.0},
        {"top_k": 0},
        {"eval_tasks_between": 201},
        {"stop_when_worse": -1},
        {"when_few_follow": "sleep"},
        {"weight_decay": -0.1},
        {"seed": "x"},
        {"teacher_weights": "old"},
        {"env_args": []},
    ],
)
def test_stored_settings_that_are_not_possible_are_refused_by_name(tmp_path: Path, change: dict[str, object]) -> None:
    (name,) = change
    with pytest.raises(RunError, match=rf"config\.json holds settings that are not possible \({option(name)} "):
        stored(tmp_path, settings_of({}).record() | change)


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":['])
def test_arguments_that_are_nested_too_deeply_are_refused(opening: str) -> None:
    for depth in (65, 200, 900, 50_000):
        closing = "".join({"[": "]", "{": "}"}[sign] for sign in reversed(opening * depth) if sign in "[{")
        whole = opening * depth + ("0" if opening.endswith(":") else "") + closing
        with pytest.raises(ConfigError, match="--env-arg x is nested more than 64 deep"):
            read_arguments("env_args", [f"x={whole}"])
    with pytest.raises(ConfigError, match="--env-arg x is nested more than 64 deep"):
        read_arguments("env_args", ["x=" + opening * 50_000])


@pytest.mark.parametrize("text", ['"\\ud800"', '["a", "\\udc00"]', '{"\\ud8ff": 1}', "/data/\udcff"])
def test_arguments_with_half_a_surrogate_pair_are_refused(text: str) -> None:
    for name, of_option in (("env_args", "--env-arg"), ("chat_args", "--chat-arg"), ("teacher_args", "--teacher-arg")):
        with pytest.raises(ConfigError, match=f"{of_option} data holds half of a surrogate pair"):
            read_arguments(name, [f"data={text}"])


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "[NaN]", "1e999", "9" * 5000])
def test_numbers_that_json_does_not_have_are_strings(text: str) -> None:
    assert read_arguments("env_args", [f"x={text}"]) == {"x": text}


def test_a_run_becomes_longer_and_not_shorter() -> None:
    settings = settings_of({"steps": 4, "turn_budget": 100})
    assert extension(settings, {}) == {}
    assert extension(settings, {"steps": 4}) == {}
    assert extension(settings, {"steps": 6, "turn_budget": 100}) == {"steps": 6}
    assert extension(settings, {"turn_budget": 101}) == {"turn_budget": 101}
    for less, message in (
        ({"steps": 3}, "--steps 3, but the run was started with --steps 4"),
        ({"turn_budget": 99}, "--turn-budget 99, but the run was started with --turn-budget 100"),
    ):
        with pytest.raises(ConfigError, match=message):
            extension(settings, less)
    with pytest.raises(
        ConfigError, match=r"--decay-steps 12 leaves no learning rate for all of --steps 13.*another run"
    ):
        extension(settings_of({"decay_steps": 12}), {"steps": 13})
    with pytest.raises(ConfigError, match="--steps 9, but the run was started without that limit"):
        extension(settings_of({"turn_budget": 3}), {"steps": 9})


def test_systems_that_do_not_report_free_processors_use_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert settings_of({}).threads == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert settings_of({}).threads == 1


def test_options_reach_every_component() -> None:
    settings = settings_of({"teacher_args": {"show_thoughts": False}})
    build.check_components(settings)
    assert not build.make_learner(settings).teacher.show_thoughts  # type: ignore[attr-defined]
    assert build.make_learner(settings_of({})).teacher.show_thoughts  # type: ignore[attr-defined]
    centred = settings_of({"learner": "grpo", "learner_args": {"scale_rewards": False}})
    build.check_components(centred)
    assert not build.make_learner(centred).scale_rewards  # type: ignore[attr-defined]
    brief = settings_of({"reflector": "self", "reflector_args": {"max_new_tokens": 8}})
    build.check_components(brief)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"learner_args": {"colour": 1}},
            r"distill \(hero\.learners\) has no option 'colour'; it takes:\n  gate: ",
        ),
        ({"learner_args": {"teacher": "x"}}, r"teacher of distill \(hero\.learners\) is given by the run"),
        (
            {"teacher_args": {"show_thought": 1}},
            r"hindsight \(hero\.teachers\) has no option 'show_thought'; did you mean",
        ),
        ({"teacher_args": {"show_thoughts": "no"}}, "show_thoughts = 'no' is not possible; give a value of type bool"),
        (
            {"reflector": "rules", "reflector_args": {"max_new_tokens": 8}},
            r"rules \(hero\.reflectors\) has no option 'max_new_tokens'",
        ),
        (
            {"reflector": "self", "reflector_args": {"student": 8}},
            r"student of self \(hero\.reflectors\) is given by the run",
        ),
        ({"learner": "grpo", "teacher_args": {"x": 1}}, "--teacher-arg does nothing with --learner grpo; leave it out"),
        ({"learner": "grpo", "reflector_args": {"x": 1}}, "--reflector-arg does nothing with --learner grpo"),
    ],
)
def test_options_that_a_component_does_not_have_are_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build.check_components(settings_of(given))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"beta": 0.3}, "--beta 0.3 does nothing without --divergence jensen_shannon"),
        ({"top_k_of": "union"}, "--top-k-of union does nothing without --top-k N"),
        ({"learner": "grpo", "turn_gate": "none"}, "--turn-gate none does nothing with --learner grpo"),
        ({"learner": "grpo", "top_k": 5}, "--top-k 5 does nothing with --learner grpo; leave it out"),
        ({"teacher_weights": "live", "ema_decay": 0.5}, "--ema-decay 0.5 does nothing without --teacher-weights ema"),
        ({"learner": "grpo", "ema_decay": 0.5}, "--ema-decay 0.5 does nothing with --learner grpo; leave it out"),
        ({"decay_steps": 6}, "--decay-steps 6 leaves no learning rate for all of --steps 12 after .*give at least 12"),
        ({"decay_steps": 12, "warmup_steps": 12}, "--warmup-steps 12; give at least 13"),
        ({"decay_steps": 6, "turn_budget": 9}, "--decay-steps 6 needs --steps"),
        ({"learner": "grpo", "when_few_follow": "warn"}, "--when-few-follow warn does nothing with --learner grpo"),
        ({"learner": "grpo", "teacher": "hindsight"}, "--teacher hindsight does nothing with --learner grpo"),
    ],
)
def test_a_setting_that_does_nothing_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings_of(given)
    assert settings_of({"divergence": "jensen_shannon", "beta": 0.3, "top_k": 5, "top_k_of": "union"}).beta == 0.3


def test_the_trainer_has_the_defaults_of_the_settings_and_all_its_options_are_settings() -> None:
    from hero.distill.trainer import TorchTrainer

    options = registry.parameters(TorchTrainer)
    shared = options.keys() & FIELDS.keys() - {"learning_rate"}  # which the model brings
    assert options.keys() - shared == {"lm", "processes", "learning_rate"}
    assert {name: options[name].default for name in shared} == {name: FIELDS[name].default for name in shared}


@pytest.mark.parametrize(
    ("defaults", "message"),
    [
        ({"group_sise": 8}, "brings a default of group_sise, which is not a setting that a component may bring"),
        ({"learner": "distill"}, "brings a default of learner, which is not a setting that"),
        ({"env_args": {"level": "hard"}}, "brings a default of env_args, which is not a setting that"),
        ({1: 2}, "brings a default of 1, which is not"),
        (["group_size"], "the defaults of grpo .* must be a mapping, not"),
        (None, "the defaults of grpo .* must be a mapping, not None"),
        ({"max_turns": 3.5}, "brings a default that is not possible: --max-turns 3.5"),
        ({"steps": "x"}, "brings a default that is not possible: --steps 'x'"),
        ({"weight_decay": None}, "brings a default that is not possible: --weight-decay None"),
        ({"threads": 0}, "--threads 0 is not possible; give at least 1"),
    ],
)
def test_defaults_that_are_not_settings_are_refused(
    monkeypatch: pytest.MonkeyPatch, defaults: object, message: str
) -> None:
    monkeypatch.setattr(GRPO, "defaults", defaults)
    with pytest.raises(ConfigError, match=message):
        settings_of({"learner": "grpo", "group_size": 8})


def test_threads_of_mkl_do_not_go_before_the_number_of_threads() -> None:
    code = "from hero_cli.build import use_threads; use_threads(1); import torch; print(torch.get_num_threads())"
    surroundings = os.environ | {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, env=surroundings, capture_output=True, text=True, check=True).stdout == "1\n"
