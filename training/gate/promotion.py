"""Which bundle is served: measure, decide, record, then move the pointer.

The best simple baseline of the data is the first champion. After that the fresh baseline and the challenger each have
to pass the gate against whoever stands. The order of the writes makes a kill at any moment harmless:

1. `reports/<dataset>/gate.json`, the decision with its figures, not yet applied;
2. the model versions and aliases in MLflow;
3. `champion.json`, the one pointer that servers follow;
4. `gate.json` again, applied.

The next run finds a decision that was not applied and carries it out; it measures again only in a new situation.
"""

from __future__ import annotations

from recsys.bundle import Bundle, BundleManifest, now
from recsys.dataset import Dataset
from recsys.errors import InputError
from recsys.metrics.bootstrap import Interval
from recsys.rollback import roll_back
from recsys.workspace import Champion, Workspace
from training import registry
from training.code import MEASURED, code_fingerprint
from training.gate.contenders import best_baseline, best_challenger, digest, named
from training.gate.contest import Contest, Result, unfit
from training.gate.decision import Decision, Judgement, Situation, record, recorded
from training.gate.rule import Figures, GateSettings, Verdict, decide

FIRST = "the best simple baseline stands where no champion is to be beaten"


def promote(
    workspace: Workspace,
    dataset: Dataset,
    settings: GateSettings,
    *,
    bundle: str | None = None,
    dry_run: bool = False,
    switch: bool = False,
) -> Decision:
    """Decide and, unless ``dry_run``, carry it out. A decision already made in this situation is not made again.

    ``bundle`` names the challenger; otherwise it is the best neural bundle of this data by its validation metric.
    ``switch`` lets a workspace that serves another data set go over to this one. Raises MissingError without a
    baseline's bundle, InputError where a bundle is not to be had or the workspace serves another data set.
    """
    current = workspace.champion()
    if current and current.dataset != dataset.manifest.name and not switch:
        raise InputError(
            f"{workspace.root}/champion.json serves data set {current.dataset!r}; to serve {dataset.manifest.name!r} "
            "in its place say --switch, or use another --workspace"
        )
    baseline = best_baseline(workspace, dataset)
    challenger = named(workspace, dataset, bundle) if bundle else best_challenger(workspace, dataset, current)
    situation = Situation(
        data_fingerprint=dataset.manifest.fingerprint,
        code=code_fingerprint(*MEASURED, "training.gate"),
        settings=settings.model_dump(),
        champion=digest(workspace, current.bundle) if current else None,
        challenger=digest(workspace, challenger.name) if challenger else None,
        baseline=digest(workspace, baseline.name),
    )
    decision = recorded(workspace, dataset.manifest.name)
    if decision is None or not decision.answers(situation, current.bundle if current else None):
        decision = _judge(workspace, dataset, settings, situation, current, challenger, baseline)
        record(workspace, decision)
    if not dry_run and decision.applied_at is None:
        decision = _apply(workspace, decision)
    return decision


def rollback(workspace: Workspace) -> Champion:
    """`recsys.rollback.roll_back`, and the alias in the registry after it."""
    champion = roll_back(workspace)  # first of all: it is what servers follow
    version = registry.register(workspace, workspace.bundles / champion.bundle)
    registry.set_alias(workspace, champion.dataset, "champion", version)
    return champion


def _judge(
    workspace: Workspace,
    dataset: Dataset,
    settings: GateSettings,
    situation: Situation,
    current: Champion | None,
    challenger: BundleManifest | None,
    baseline: BundleManifest,
) -> Decision:
    contest = Contest(dataset, settings)
    results: dict[str, Result] = {}
    judgements: list[Judgement] = []
    notes: list[str] = []

    def entered(name: str) -> str | None:
        """Measure the bundle, once; or say why it may not stand."""
        if name in results:
            return None
        try:
            bundle = Bundle.open(workspace.bundles / name)
        except InputError as error:
            return str(error)
        if fault := unfit(bundle.manifest, dataset):
            return fault
        results[name] = contest.measure(bundle)
        return None

    if fault := entered(baseline.name):
        raise InputError(
            f"the baseline {baseline.name} cannot be judged: {fault}; remove {workspace.bundles / baseline.name}, "
            "publish it anew: segue evaluate"
        )
    standing = baseline.name
    if current is None or current.dataset != dataset.manifest.name:
        judgements.append(Judgement(bundle=standing, against=None, passed=True, reason=FIRST))
    elif fault := entered(current.bundle):
        notes.append(f"The champion {current.bundle} steps aside: {fault}.")
        judgements.append(Judgement(bundle=standing, against=None, passed=True, reason=FIRST))
    else:
        standing = current.bundle
    for contender in (baseline.name, challenger.name if challenger else standing):
        if contender == standing:
            continue
        if fault := entered(contender):
            judgements.append(Judgement(bundle=contender, against=standing, passed=False, reason=fault))
            continue
        gain = contest.gain(results[contender], results[standing])
        verdict = decide(results[standing].figures, results[contender].figures, gain, settings)
        judgements.append(_judgement(contender, standing, gain, verdict))
        standing = contender if verdict.passed else standing
    if challenger is None:
        notes.append("There is no challenger: no neural bundle of these data (segue train makes one).")
    if dataset.manifest.simulated:
        notes.append("The data are simulated: the figures test the code and are no evidence of quality.")
    return Decision(
        situation=situation,
        dataset=dataset.manifest.name,
        protocol=contest.split.protocol,
        metric=contest.metric,
        queries=len(contest.queries),
        before=current.bundle if current else None,
        champion=standing,
        challenger=challenger.name if challenger else None,
        baseline=baseline.name,
        figures={name: result.figures for name, result in results.items()},
        judgements=judgements,
        notes=notes,
        decided_at=now(),
    )


def _judgement(contender: str, standing: str, gain: Interval, verdict: Verdict) -> Judgement:
    return Judgement(
        bundle=contender,
        against=standing,
        passed=verdict.passed,
        reason=verdict.reason,
        gain=gain,
        checks=list(verdict.checks),
    )


def _apply(workspace: Workspace, decision: Decision) -> Decision:
    versions = {
        name: registry.register(workspace, workspace.bundles / name, _tags(decision, figures))
        for name, figures in decision.figures.items()
    }
    registry.set_alias(workspace, decision.dataset, "champion", versions[decision.champion])
    refused = None if decision.promoted or decision.challenger is None else versions.get(decision.challenger)
    registry.set_alias(workspace, decision.dataset, "challenger", refused)
    current = workspace.champion()
    if current is None or current.bundle != decision.champion:
        reason = next(j.reason for j in reversed(decision.judgements) if j.bundle == decision.champion)
        workspace.set_champion(
            Champion(
                bundle=decision.champion,
                dataset=decision.dataset,
                promoted_at=now(),
                reason=reason,
                previous=[*current.previous, current.bundle] if current else [],
                not_before=current.not_before if current else None,
            )
        )
    applied = decision.model_copy(update={"applied_at": now()})
    record(workspace, applied)
    return applied


def _tags(decision: Decision, figures: Figures) -> dict[str, float]:
    cold = {} if figures.cold is None else {"test_cold_recall": figures.cold}
    return {f"test_{decision.metric}": figures.primary, "test_coverage": figures.coverage, **cold}
