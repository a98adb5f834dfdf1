"""Which workloads are restarted in a rotation: those that asked, a few at a time, each once."""

from anchorline.plan.restarts import Workload, restarts, token_of

TOKEN = token_of("internal", 2)


def a_workload(
    name: str, namespace: str = "shop", *, token: str = "", rolled_out: bool = True, old_pods: int = 1
) -> Workload:
    return Workload(
        kind="Deployment", namespace=namespace, name=name, token=token, rolled_out=rolled_out, old_pods=old_pods
    )


def test_no_more_are_restarted_at_once_than_may_be_and_those_under_way_count() -> None:
    waiting = [a_workload(name) for name in "edcba"]
    assert [each.name for each in restarts(waiting, TOKEN)] == ["a", "b", "c"]
    under_way = [a_workload(name, token=TOKEN, rolled_out=False) for name in ("x", "y")]
    assert [each.name for each in restarts([*waiting, *under_way], TOKEN)] == ["a"]
    assert restarts([*waiting, *under_way], TOKEN, at_a_time=1) == ()


def test_a_workload_is_restarted_once_in_a_rotation_and_again_in_the_next() -> None:
    done = a_workload("web", token=TOKEN)
    assert restarts([done], TOKEN) == ()
    assert restarts([done], token_of("internal", 3)) == (done,)


def test_what_runs_no_old_pod_or_is_stuck_in_a_rollout_is_left_alone() -> None:
    assert restarts([a_workload("new", old_pods=0), a_workload("stuck", rolled_out=False)], TOKEN) == ()


def test_a_workload_is_named_as_kubectl_names_it() -> None:
    assert str(a_workload("web")) == "Deployment shop/web"
