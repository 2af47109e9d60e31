"""YAML files read safely and checked against a pydantic schema, with errors that name the line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from narcf_geo.core.addresses import shown
from narcf_geo.core.errors import UsageError
from narcf_geo.core.ordinary import read_text
from narcf_geo.core.plain import did_you_mean

MAX_BYTES = 4_000_000
MAX_NODES = 100_000
MAX_DEPTH = 100
MAX_SCALAR = 100_000
"""Characters of one text; numbers have at most `MAX_NUMBER`."""
MAX_NUMBER = 400
MOST_PROBLEMS = 20
"""Said of one file."""

# libyaml reads ten times as fast; a build of PyYAML without it reads the same files.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Schema(BaseModel):
    """A piece of a YAML file: immutable, and no key that the schema does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Document(Generic[Model]):
    """A file that fits its schema, and where in it each key is."""

    path: Path
    content: Model
    node: yaml.Node

    def line(self, *keys: int | str) -> int:
        """Return the line, from 1, of the deepest of nested `keys` that the file has."""
        return _line(self.node, keys)


def load(path: Path, schema: type[Model]) -> Model:
    """Read the YAML file at `path` and return it as `schema`.

    Raises
    ------
    UsageError
        As from `read`.
    """
    return read(path, schema).content


def read(path: Path, schema: type[Model]) -> Document[Model]:
    """Read the YAML file at `path`, its content as `schema`.

    Raises
    ------
    UsageError
        When the file is absent, is not plain YAML, repeats a key, or does not fit the schema; the
        message names the file, the line, the key and, for a misspelt key, the nearest known one.
    """
    try:
        text = read_text(path, MAX_BYTES, UsageError)
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file; `narcf-geo init DIR` writes one") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read as UTF-8 text ({error})") from None
    except UsageError:
        raise
    except ValueError as error:  # a path that no file can have
        raise UsageError(f"{str(path)!r}: cannot be read ({error})") from None
    try:
        _check_events(text, path)
        node = yaml.compose(text, Loader=_Loader)
        _check_tree(node, path)
        data = _Loader("").construct_document(node) if node else None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        tab = "\t" in "".join(text.split("\n")[line - 1 : line])
        hint = "; indent with spaces, not with a tab" if tab else ""
        raise UsageError(f"{path}:{line}: not valid YAML: {error.problem}{hint}") from None
    except UsageError:
        raise
    except Exception as error:  # PyYAML lets many kinds through, for a wrong tag among others
        raise UsageError(f"{path}: not valid YAML: {error or type(error).__name__}") from None
    if not isinstance(data, dict) or node is None:
        raise UsageError(f"{path}: expected a mapping of keys to values, found {_kind(data)}")
    try:
        return Document(path, schema.model_validate(data), node)
    except ValidationError as error:
        raise UsageError(_explain(error, path, node, schema)) from None


def _kind(data: object) -> str:
    return "an empty file" if data is None else f"a {type(data).__name__}"


def _check_events(text: str, path: Path) -> None:
    """Refuse what would exhaust the stack of the composer, the memory, or the time of the user."""
    depth = nodes = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.ScalarEvent):
            number = not event.style and event.value[:1] in "+-.0123456789"
            if len(event.value) > (MAX_NUMBER if number else MAX_SCALAR):
                raise UsageError(
                    f"{path}:{line}: not valid YAML: a value of {len(event.value)} characters; "
                    f"expected at most {MAX_SCALAR}, and {MAX_NUMBER} for a number"
                )
        nodes += isinstance(event, yaml.NodeEvent)
        if nodes > MAX_NODES:
            raise UsageError(f"{path}:{line}: expected at most {MAX_NODES} values, found more")
        if depth > MAX_DEPTH:
            raise UsageError(
                f"{path}:{line}: not valid YAML: nested deeper than {MAX_DEPTH} levels; is a "
                "bracket not closed?"
            )


def _check_tree(node: yaml.Node | None, path: Path) -> None:
    """Refuse repeated keys and trees that aliases blow up."""
    pending = [node] if node else []
    seen = 0
    while pending:
        current = pending.pop()
        seen += 1
        if seen > MAX_NODES:
            raise UsageError(f"{path}: more than {MAX_NODES} nodes after expanding aliases")
        if isinstance(current, yaml.SequenceNode):
            pending.extend(current.value)
        elif isinstance(current, yaml.MappingNode):
            keys: set[str] = set()
            for key, value in current.value:
                pending += [key, value]
                if not isinstance(key, yaml.ScalarNode):
                    continue
                if key.value in keys:
                    line = key.start_mark.line + 1
                    raise UsageError(
                        f"{path}:{line}: {key.value!r} is here a second time; keep one"
                    )
                keys.add(key.value)


def _line(node: yaml.Node | None, location: Sequence[int | str]) -> int:
    """Return the line (from 1) of the deepest part of `location` that the file has."""
    line = node.start_mark.line if node else 0
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = [(k, v) for k, v in node.value if k.value == str(part)]
            if not found:
                continue
            line, node = found[0][0].start_mark.line, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line
    return line + 1


def _in_file(location: Sequence[int | str], node: yaml.Node | None) -> list[int | str]:
    """Return `location` without the parts that pydantic puts in, such as the tag of a union."""
    found: list[int | str] = []
    for part in location[:-1]:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
        elif isinstance(node, yaml.MappingNode):
            values = [v for k, v in node.value if k.value == str(part)]
            if not values:
                continue
            node = values[0]
        else:
            continue
        found.append(part)
    return [*found, *location[-1:]]


def _explain(
    error: ValidationError, path: Path, node: yaml.Node | None, schema: type[BaseModel]
) -> str:
    lines = []
    problems = error.errors(include_url=False)
    for problem in problems[:MOST_PROBLEMS]:
        location = _in_file(problem["loc"], node)
        where = ".".join(str(part) for part in location)
        message = problem["msg"].removeprefix("Value error, ")
        context = problem.get("ctx", {})
        if problem["type"].startswith("union_tag"):
            location = [*location, context["discriminator"].strip("'")]
            where = ".".join(str(part) for part in location)
            message = _choice(context)
        if problem["type"] == "extra_forbidden":
            known = _known_keys(schema, location[:-1])
            message = f"unknown key; known here: {', '.join(sorted(known))}"
            if near := did_you_mean(str(location[-1]), known):
                message = f"unknown key{near}"
        elif (
            problem["type"] not in ("missing", "union_tag_invalid")
            and not isinstance(problem["input"], dict | list)
            and "storage_options" not in location  # where someone may have put a secret
        ):
            message += f" (found {_found(problem['input'])})"
        place = f"{path}:{_line(node, location)}"
        lines.append(f"{place}: {where}: {message}" if where else f"{place}: {message}")
    if len(problems) > MOST_PROBLEMS:
        lines.append(f"{path}: and {len(problems) - MOST_PROBLEMS} more problems")
    return "\n".join(lines)


def _found(value: object) -> str:
    """Return a value as a message shows it: shortened, addresses without their secrets."""
    if isinstance(value, int) and value.bit_length() > 100:
        return f"a number of about {round(value.bit_length() * 0.30103)} digits"
    text = repr(shown(value) if isinstance(value, str) else value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _choice(context: dict[str, Any]) -> str:
    """Say which values a key takes that tells which kind of thing it stands in."""
    if "tag" not in context:
        return "Field required"
    known = [tag.strip(" '") for tag in context["expected_tags"].split(",")]
    near = did_you_mean(context["tag"], known)
    return f"expected one of {', '.join(known)} (found {_found(context['tag'])}){near}"


def _known_keys(schema: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """Return the keys of the model at `location`, by walking the schema's own JSON description."""
    description: dict[str, Any] = schema.model_json_schema(by_alias=True)
    definitions = description.get("$defs", {})
    found = [description]
    for part in location:
        found = [child for parent in found for child in _children(parent, part, definitions)]
    return sorted({key for item in found for key in item.get("properties", {})})


def _children(
    parent: dict[str, Any], part: int | str, definitions: dict[str, Any]
) -> list[dict[str, Any]]:
    candidates = [
        parent.get("properties", {}).get(part),
        parent.get("additionalProperties") if isinstance(part, str) else parent.get("items"),
    ]
    pending = [c for c in candidates if isinstance(c, dict)][:1]
    resolved: list[dict[str, Any]] = []
    while pending:
        item = pending.pop()
        pending += item.get("anyOf", []) + item.get("oneOf", [])
        if "$ref" in item:
            pending.append(definitions[item["$ref"].rsplit("/", 1)[-1]])
        elif "properties" in item or "items" in item or "additionalProperties" in item:
            resolved.append(item)
    return resolved
