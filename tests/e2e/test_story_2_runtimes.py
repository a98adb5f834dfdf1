"""Story 2: every runtime connects by Service DNS name where it was asked for, and is refused where it was not."""

from tests.e2e.runtimes import RUNTIMES, Runtime, refused
from tests.e2e.stage import Object, Stage, container, pod, pod_spec

CASES = ("annotated", "not annotated", "own variable", "opted out")


def client(runtime: Runtime, case: str, url: str) -> Object:
    """A pod that asks once; it has a read-only root file system, and is not root."""
    name = "".join(letter for letter in f"{runtime.name}-{case}" if letter.isalnum() or letter == "-").lower()
    own = [{"name": each, "value": runtime.own} for each in runtime.variables] if case == "own variable" else []
    notes = {"anchorline.dev/inject": "false"} if case == "opted out" else {}
    labels = {"case": case.replace(" ", "-"), "runtime": name}
    spec = pod_spec(container(*runtime.asks(url, "once"), env=own))
    return pod(name, "plain" if case == "not annotated" else "asks", spec, labels=labels, annotations=notes)


def outcomes(stage: Stage, url: str, case: str) -> dict[tuple[str, str], str]:
    """Run every client in one case, and return what each said last."""
    pods = {runtime.name: client(runtime, case, url) for runtime in RUNTIMES}
    stage.apply(*pods.values())
    space = "plain" if case == "not annotated" else "asks"
    over = stage.ended(space, f"case={case.replace(' ', '-')}", len(pods), seconds=240)
    phases = {each["metadata"]["name"]: each["status"]["phase"] for each in over}
    said = {}
    for name, each in pods.items():
        words = stage.logs(each["metadata"]["name"], space).strip().splitlines() or ["nothing"]
        said[name, case] = "ok" if phases[each["metadata"]["name"]] == "Succeeded" else words[-1]
    return said


def word(said: str) -> str:
    return "ok" if said == "ok" else "refused" if refused(said) else "BROKEN"


def table(said: dict[tuple[str, str], str]) -> list[str]:
    head = f"{'runtime':<15}" + "".join(f"{case:<16}" for case in CASES)
    rows = [f"{each.name:<15}" + "".join(f"{word(said[each.name, case]):<16}" for case in CASES) for each in RUNTIMES]
    quotes = [f"  {each.name} says, not annotated: {said[each.name, 'not annotated'][:150]}" for each in RUNTIMES]
    broken = [f"  {key} broke: {words}" for key, words in said.items() if word(words) == "BROKEN"]
    return [head, *rows, *quotes, *broken]


def test_every_runtime_trusts_where_it_was_asked_for_and_only_there(stage: Stage) -> None:
    stage.authority("internal")
    stage.namespace("shop")
    stage.namespace("asks", trust="internal", formats="jks,wgetrc")
    stage.namespace("plain")
    url = stage.server("web", "shop", "internal")
    said: dict[tuple[str, str], str] = {}
    for case in CASES:
        said |= outcomes(stage, url, case)
    stage.show("Story 2: runtimes (read-only root file system, not root)", table(said))
    for runtime in RUNTIMES:
        assert said[runtime.name, "annotated"] == "ok", runtime
        for case in CASES[1:]:
            expected = "ok" if runtime.appended and case == "own variable" else "refused"
            assert word(said[runtime.name, case]) == expected, (runtime, case)


def test_public_roots_are_still_trusted(stage: Stage) -> None:
    """There is no public server here, so a public root is judged with what was injected."""
    script = (
        'openssl verify -CAfile "$SSL_CERT_FILE" -no-CApath /etc/ssl/certs/ISRG_Root_X1.pem && '
        "python3 -c 'import ssl; print(len(ssl.create_default_context().get_ca_certs()))'"
    )
    stage.authority("internal")
    stage.namespace("asks", trust="internal", formats="jks,wgetrc")
    stage.apply(pod("public", "asks", pod_spec(container("sh", "-c", script)), labels={"public": "roots"}))
    (over,) = stage.ended("asks", "public=roots", 1)
    said = stage.logs("public", "asks").split()
    assert over["status"]["phase"] == "Succeeded", said
    assert said[1] == "OK"
    assert int(said[2]) > 100
