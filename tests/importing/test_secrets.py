"""Secrets in a fleet's files are never copied: not to the scenario, not to a message."""

import pytest
from running_fleets import LLAMA, container, dump, listed, workload

from planner.importing.secrets import looks_secret, shown

SECRETS = {
    "a Hugging Face token": "hf_QmZxYwVuTsRqPoNmLkJiHgFe",
    "an OpenAI key": "sk-proj-AbCdEf0123456789AbCdEf",
    "an AWS key": "AKIAIOSFODNN7EXAMPLE",
    "a GitHub token": "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "a fine-grained token": "github_pat_11ABCDEFG0123456789_abcdef",
    "a JSON web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N",
    "a Slack token": "xoxb-123456789012-abcdefGHIJ",
    "an NVIDIA key": "nvapi-AbCdEfGhIjKlMnOpQrSt0123",
    "a Google key": "AIzaSyA-1234567890abcdefghijklmnopqrstu",
    "a URL with a password": "https://user:hunter2hunter2@models.example/llama",
    "a database URL": "postgres://admin:s3cr3tpass@db:5432/x",
    "a signed URL": "https://b.s3.amazonaws.com/m?X-Amz-Signature=abcdef0123456789",
    "a bearer header": "Bearer abcdef0123456789abcdef",
    "a private key": "-----BEGIN RSA PRIVATE KEY-----MIIEpAIBAAKCAQEA",
    "a long hexadecimal": "0123456789abcdef0123456789abcdef01234567",
    "a long base64": "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoxMjM0NTY3ODkw",
    "a password pair": "password=correcthorsebattery",
}
SERVE = ["vllm", "serve", LLAMA, "--tensor-parallel-size", "4"]


def _in(place, secret):
    """A fleet with the secret in one place, and what the command is given beside."""
    one, item = container(SERVE), None
    if place == "environment":
        one["env"] = [{"name": "HF_TOKEN", "value": secret}, {"name": "NOTE", "value": secret}]
    elif place == "a known option":
        one["command"] = [*SERVE, "--api-key", secret]
    elif place == "an unknown option":
        one["command"] = [*SERVE, f"--unheard-of={secret}"]
    elif place == "a script":
        one["command"] = ["sh", "-c", f"HF_TOKEN='{secret}' vllm serve {LLAMA} -tp 4 # {secret}"]
    elif place == "the served name":
        one["command"] = [*SERVE, "--served-model-name", secret]
    elif place == "the draft model":
        one["command"] = [*SERVE, "--speculative-config", f'{{"model": "{secret}"}}']
    elif place == "the KV cache type":
        one["command"] = [*SERVE, "--kv-cache-dtype", secret]
    elif place == "the image":
        one["image"] = f"registry.example/{secret}/vllm-openai:v0.19.0"
    elif place == "a Secret":
        item = {"kind": "Secret", "metadata": {"name": "s"}, "stringData": {"token": secret}}
    elif place == "an annotation":
        item = workload(one)
        item["metadata"]["annotations"] = {
            "kubectl.kubernetes.io/last-applied-configuration": secret
        }
    elif place == "the workload's name":
        item = workload(one, name=secret)
    return [workload(one), *([item] if item else [])]


PLACES = (
    "environment",
    "a known option",
    "an unknown option",
    "a script",
    "the served name",
    "the draft model",
    "the KV cache type",
    "the image",
    "a Secret",
    "an annotation",
    "the workload's name",
)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_is_never_copied(kind, place, run):
    secret = SECRETS[kind]
    code, out, err = run({"fleet.yaml": listed(*_in(place, secret)), "m.prom": dump()})
    assert code == 0, err
    _absent(secret, out + err)
    assert f'model: "{LLAMA}"' in out


def _absent(secret, text):
    for part in {secret, *secret.replace("@", " ").replace("/", " ").replace("=", " ").split()}:
        if len(part) > 8 and "example" not in part:
            assert part not in text


@pytest.mark.parametrize("kind", SECRETS)
def test_a_model_that_is_a_secret_is_refused_without_it(kind, run):
    secret = SECRETS[kind]
    for words in (["vllm", "serve", secret], ["vllm", "serve", "$(MODEL)"]):
        env = [{"name": "MODEL", "value": secret}]
        code, out, err = run({"fleet.yaml": listed(workload(container(words, env=env)))})
        assert code == 2
        assert "no such model" in err or "a model without a name" in err
        assert "hidden" in err or "a model without a name" in err
        _absent(secret, out + err)


@pytest.mark.parametrize("kind", SECRETS)
def test_a_metric_label_that_is_a_secret_is_refused_without_it(kind, run):
    secret = SECRETS[kind]
    code, out, err = run({"m.prom": dump(model=secret)}, "--over", "1d")
    assert code == 2
    _absent(secret, out + err)


@pytest.mark.parametrize("kind", SECRETS)
def test_a_broken_file_does_not_show_its_line(kind, run):
    secret = SECRETS[kind].replace('"', "")
    broken = [
        f"kind: Secret\ndata:\n  token: '{secret}\n  more: [",
        f"a: !{secret.split(':')[0].split(' ')[0]} x\n",
        f'{{"kind": "Secret", "data": {{"t": "{secret}", }}}}',
        f'vllm:request_success_total{{a="{secret}"}} {secret}\n',
        f"token: {secret}\n\tbad: tab",
    ]
    for text in broken:
        code, out, err = run({"broken.txt": text})
        assert code == 2, text
        assert "Traceback" not in err
        _absent(secret, out + err)


def test_secret_objects_are_counted_and_left(run):
    secret = {
        "kind": "Secret",
        "metadata": {"name": "x"},
        "data": {"t": "aGVsbG8gd29ybGQgaGVsbG8="},
    }
    out = run({"f.yaml": listed(workload(container(SERVE)), secret)})[1]
    assert "1 Secret objects were found in them; their contents were not read." in out
    assert "aGVsbG8" not in out


@pytest.mark.parametrize(
    "name",
    [LLAMA, "Qwen/Qwen3-235B-A22B-Instruct-2507-FP8", "prod-chat", "chat-7d9f8c6b5d-x2x4z", "h100"],
)
def test_ordinary_names_are_shown(name):
    assert not looks_secret(name)
    assert shown(name) == name
