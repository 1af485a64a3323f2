"""The runner's registries, protocol and views, without any framework."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def benchmarks_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))


def content(**rows: Any) -> dict[str, Any]:
    """What a file of results holds."""
    from benchmarks.results import Results

    made = Results(None, "python -m benchmarks").content
    made["ceilings"] = {"0": {"highest_gflops": 100.0, "copy_gb_per_second": 20.0}}
    made["machine"] = {"processor": "P <1>", "versions": {"lazygrad": "1"}}
    made["complete"] = True
    made["rows"] = rows
    return made


def step_row(rounds: dict[str, list[float]], **others: Any) -> dict[str, Any]:
    contestants = {name: {"rounds": each, "check": 0.5, "worst": "y"} for name, each in rounds.items()}
    return {
        "kind": "step", "unit": "ms", "precision": "highest", "flops": 2e8, "bytes": 1e6, "contestants": contestants,
        **others,
    }  # fmt: skip


MATMUL = {
    "opencl plain": [4.0, 5.0, 6.0, 5.0],
    "opencl compile": [4.0, 4.0, 4.0, 4.0],
    "torch eager": [10.0, 10.0, 11.0, 10.0],
    "torch compile": [8.0, 8.0, 9.0, 8.0],
    "jax": [1.0, 1.0, 1.0, 1.0],
}


def test_contestants_are_chosen_by_the_beginning_of_their_names() -> None:
    from benchmarks.contestants import Contestant, parse, selected

    names = [c.name for c in selected(["opencl:1", "torch eager", "torch"])]
    assert names == [
        "opencl:1 plain", "opencl:1 compile", "torch eager", "torch eager channels last", "torch compile",
        "torch compile channels last",
    ]  # fmt: skip
    assert {c.kind for c in selected(["all"])} == {"opencl", "triton", "numpy", "torch", "jax", "tinygrad"}
    for contestant in [
        *selected(["all"]),
        Contestant("torch", "cuda:1", "eager"),
        Contestant("opencl", "", "plain", 2),
    ]:
        assert parse(contestant.name) == contestant
    for wrong in ("torch eag", "keras", "opencl eager"):
        with pytest.raises(ValueError, match="there is no contestant"):
            selected([wrong])
    with pytest.raises(ValueError, match="several"):
        parse("opencl")


def test_rows_are_chosen_by_patterns_and_names_of_any_size() -> None:
    from benchmarks import rows

    usual = rows.usual_names()
    assert len(usual) == len(set(usual))
    assert [row.name for row in rows.selected(["matmul_2*", "matmul_7x9x11", "overhead/mlp_*"])] == [
        "matmul_2048", "matmul_7x9x11", "overhead/mlp_train_128",
    ]  # fmt: skip
    for unknown in ("matmul", "overhead/nothing", "speed/mlp_train_128", "import/mlp_train_128"):
        with pytest.raises(KeyError):
            rows.selected([unknown])
    for row in rows.selected(None):
        assert row.unit in ("ms", "s", "MiB")


def test_workloads_say_how_much_they_do() -> None:
    from benchmarks.workloads import named

    assert named("matmul_2x3x5").flops == 60
    assert named("matmul_2x3x5").bytes == 4 * (6 + 15 + 10)
    convolution = named("conv_by_weight_2x3x8x9_4x3x3_s2_p1")
    # A result of 2x4x4x5, each of 27 products.
    assert convolution.flops == 2 * 2 * 4 * 4 * 5 * 27
    assert named("resnet18_train_1x224x224").flops == pytest.approx(3 * 3.63e9, rel=0.03)
    assert named("chain_10x20").bytes == 2 * 4 * 200
    assert named("matmul_1024").target == 1.05
    assert named("matmul_1000").target is None
    with pytest.raises(KeyError):
        named("resnet18_train_1x64x32")


def test_lines_follow_from_rounds() -> None:
    from benchmarks.results import lines

    found = {line.contestant.name: line for line in lines(content(m=step_row(MATMUL, target=0.7)))}
    plain = found["opencl plain"]
    assert (plain.median, plain.low, plain.high, plain.fastest) == (5.0, 4.75, 5.25, 4.0)
    # torch is what counts, also where another peer is faster.
    assert (plain.ratio, plain.fastest_ratio) == (5 / 8, 4 / 8)
    assert (plain.target, plain.meets_target) == (0.7, True)
    assert plain.gflops == pytest.approx(40)
    assert plain.of_product == pytest.approx(0.4)
    assert plain.gb_per_second == pytest.approx(0.2)
    assert plain.of_copy == pytest.approx(0.01)
    assert found["torch eager"].ratio is found["torch eager"].target is None
    (alone,) = lines(content(m=step_row({"numpy plain": [2.0]})))
    assert (alone.median, alone.low, alone.ratio) == (2.0, 2.0, None)


def test_ratios_and_speed_ups_are_by_cores() -> None:
    from benchmarks.results import lines, speed_ups

    rounds = {"opencl plain @1": [8.0], "opencl plain @2": [4.0], "torch eager @1": [10.0], "torch eager @2": [8.0]}
    made = content(m=step_row(rounds))
    assert [line.ratio for line in lines(made)] == [0.8, 0.5, None, None]
    assert speed_ups(made) == {"m": {"opencl plain": 2.0, "torch eager": 1.25}}
    assert speed_ups(content(m=step_row(MATMUL))) == {}


def test_costs_have_targets_in_their_unit() -> None:
    from benchmarks.results import lines

    cost = {"opencl plain": {"rounds": [7.0], "target": 6.0}, "torch eager": {"rounds": [2.0]}}
    made = content(**{"first_cold/m": {"kind": "first_cold", "unit": "s", "contestants": cost}})
    plain, _ = lines(made)
    assert (plain.target, plain.meets_target, plain.ratio) == (6.0, False, 3.5)


def test_results_that_differ_are_found() -> None:
    from benchmarks.checking import FAR, check, errors
    from benchmarks.workloads import named

    workload = named("matmul_64_bf16", tiny=True)

    def factor(ours: float, *torchs: float) -> float:
        found = check(workload, {"y": ours}, [{"y": error} for error in torchs])
        assert found is not None
        return found.factor

    assert factor(4e-3) < 1 < factor(6e-3)
    # Where torch's own layouts and modes differ more, so may we.
    assert factor(2e-2, 1e-3, 1e-2) < 1 < factor(4e-2, 1e-3, 1e-2)
    # A torch that is far off excuses nobody.
    assert factor(4e-2, FAR) > 1
    assert check(workload, {}) is None
    expected = {"y": numpy.ones((2, 2), numpy.float32), "z": numpy.ones(1, numpy.float32)}
    assert errors({"y": numpy.full((2, 2), numpy.nan, numpy.float32)}, expected) == {"y": FAR, "z": FAR}
    assert errors({"y": expected["y"] * 1.5, "z": expected["z"]}, expected) == {"y": 0.5, "z": 0}
    # A loss that has become small is compared on the scale of the first.
    losses = {f"result 0 of step {step}": numpy.float32(loss) for step, loss in enumerate((8.0, 0.01, 16.0))}
    found = errors({name: loss + numpy.float32(0.08) for name, loss in losses.items()}, losses)
    assert list(found.values()) == pytest.approx([0.01, 0.01, 0.005], rel=1e-3)


def test_changes_are_of_ratios_and_told_from_noise() -> None:
    from benchmarks.comparing import changes

    before = content(m=step_row(MATMUL))
    slower_machine = content(m=step_row({name: [2 * r for r in each] for name, each in MATMUL.items()}))
    verdicts = {c.after.contestant.name: (c.factor, c.verdict) for c in changes(before, slower_machine)}
    assert verdicts["opencl plain"] == (1.0, "")
    assert verdicts["jax"] == (2.0, "WORSE")
    better = content(m=step_row(MATMUL | {"opencl plain": [2.0, 2.0, 2.0, 2.0], "opencl compile": [4.1] * 4}))
    verdicts = {c.after.contestant.name: (c.factor, c.verdict) for c in changes(before, better)}
    assert verdicts["opencl plain"] == (0.4, "better")
    assert verdicts["opencl compile"][1] == ""


def test_the_command_shows_compares_and_makes_pages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    from benchmarks.command import main

    before, after, page = (tmp_path / name for name in ("before.json", "after.json", "page.html"))
    failed = {"numpy plain": {"rounds": [], "error": "WorkerError: it <died>\nand more"}}
    made = content(m=step_row(MATMUL, target=0.5))
    made["rows"]["m"]["contestants"] |= failed
    before.write_text(json.dumps(made))
    after.write_text(json.dumps(content(m=step_row(MATMUL | {"opencl plain": [20.0, 20.0, 20.0, 20.0]}))))
    assert main(["--show", str(before), "--html", str(page)]) == 0
    shown = capsys.readouterr().out
    assert "failed: WorkerError: it <died>" in shown
    assert "0.5 -" in shown
    text = page.read_text()
    assert text.count("<svg") == 3
    assert "P &lt;1&gt;" in text
    assert "it &lt;died&gt;" in text
    assert "src=" not in text
    assert main(["--compare", str(before), str(after)]) == 1
    assert "WORSE" in capsys.readouterr().out
    assert main(["--list"]) == 0
    assert "resnet18_train_32x64x64" in capsys.readouterr().out
    for wrong in (["--only", "nothing"], ["--only", "matmul_8", "--on", "keras"], ["--show", str(page)]):
        with pytest.raises(SystemExit):
            main(wrong)


def test_a_sweep_is_the_same_for_a_seed_and_stays_within_bounds() -> None:
    from benchmarks import sweep
    from benchmarks.workloads import named

    names = sweep.shapes(40, seed=1)
    assert names == sweep.shapes(40, seed=1) != sweep.shapes(40, seed=2)
    assert len(set(names)) == 40
    assert sum(name.startswith("matmul_") for name in names) == 20
    assert all(sweep.LEAST_FLOPS <= named(name).flops <= sweep.MOST_FLOPS for name in names)
    made = content(
        **{f"matmul_{i}": step_row({"opencl plain": [float(i)], "torch eager": [10.0]}) for i in range(1, 12)}
    )
    found = sweep.distribution(sweep.ratios(made))
    assert (found.number, found.best, found.median, found.tenth, found.worst) == (11, 0.1, 0.6, 1.0, 1.1)
    assert found.meets_targets
    assert sweep.show(made)


def test_a_roofline_is_the_slower_of_arithmetic_and_memory() -> None:
    from benchmarks.profiling import of_roofline

    ceilings = {"highest_gflops": 100.0, "copy_gb_per_second": 20.0}
    bound_by_products = {"flops": 1e9, "bytes": 1e6, "launches": 2.0, "ms": 40.0}
    assert of_roofline(bound_by_products, ceilings, "highest") == pytest.approx(0.5)
    bound_by_memory = {"flops": 1e6, "bytes": 1e9, "launches": 1.0, "ms": 50.0}
    assert of_roofline(bound_by_memory, ceilings, "highest") == pytest.approx(1.0)
    assert of_roofline(bound_by_memory, {}, "highest") is None


def test_covered_time_counts_overlaps_once() -> None:
    from benchmarks.costs import covered

    assert covered([]) == 0
    assert covered([(10, 12), (0, 4), (2, 6), (3, 5)]) == 8
    assert covered([(-5, -1), (-2, 3)]) == 8


def test_options_that_name_files(tmp_path: Path) -> None:
    from benchmarks.command import result_path

    options = argparse.Namespace(out=tmp_path / "x.json", write=False)
    assert result_path(options, "run") == tmp_path / "x.json"
    assert result_path(argparse.Namespace(out=None, write=False), "run") is None
    written = result_path(argparse.Namespace(out=None, write=True), "sweep")
    assert written is not None
    assert written.name.startswith("sweep_")


def test_where_lazygrad_is_installed_nothing_is_prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import checkout

    # As among installed packages: lazygrad beside the benchmarks, and no project.
    (tmp_path / "lazygrad").mkdir()
    monkeypatch.setattr(checkout, "ROOT", tmp_path)
    before = list(sys.path)
    checkout.prepare()
    assert sys.path == before


def test_what_others_used_and_a_hypervisor_took_stand_apart() -> None:
    from benchmarks import table
    from benchmarks.results import lines

    row = step_row({"opencl plain": [4.0, 5.0]}, target=0.5)
    row["contestants"]["opencl plain"]["others"] = {"others_cores": [0.1, 0.1], "stolen_cores": [0.9, 1.1]}
    (line,) = lines(content(matmul_3=row))
    assert (line.others_cores, line.stolen_cores) == (pytest.approx(0.1), 1.0)
    assert table._others(line) == "1.0 stolen"
    assert table._target(line).endswith("?")
    assert table._others(line._replace(others_cores=0.5)) == "0.5 cores, 1.0 stolen"


def test_how_fast_cores_handed_over_between_rounds_is_told() -> None:
    from benchmarks import table
    from benchmarks.results import lines

    row = step_row({"opencl plain": [4.0, 5.0], "torch eager": [6.0, 6.0]})
    row["contestants"]["opencl plain"]["others"] = {"handover_gb_per_second": [31.7, 6.2]}
    ours, theirs = lines(content(matmul_3=row))
    assert (ours.handover, theirs.handover) == ((6.2, 31.7), None)
    cell = table.COLUMNS.index("handover")
    assert (table.cells(ours)[cell], table.cells(theirs)[cell]) == ("6-32", "")
    assert table.cells(ours._replace(handover=(31.7, 32.1)))[cell] == "32"


@pytest.mark.parametrize("cores", [set(), {0}])
def test_one_core_has_nobody_to_hand_over_to(monkeypatch: pytest.MonkeyPatch, cores: set[int]) -> None:
    import os

    from benchmarks.handover import handover

    here = os.sched_getaffinity(0)
    rate = handover()
    assert rate is None or rate > 0
    assert os.sched_getaffinity(0) == here
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: cores)
    assert handover() is None
