"""YAML files read safely and checked against a pydantic schema, with errors that name the line."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from narcf_geo.core.addresses import shown
from narcf_geo.core.errors import UsageError

MAX_NODES = 200_000
MAX_DEPTH = 100

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
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file; `narcf-geo init DIR` writes one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as UTF-8 text ({error})") from None
    try:
        _check_depth(text, path)
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


def _check_depth(text: str, path: Path) -> None:
    """Refuse nesting that would exhaust the stack of the composer."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            line = event.start_mark.line + 1 if event.start_mark else 1
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
    for problem in error.errors():
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
            close = difflib.get_close_matches(str(location[-1]), known, n=1)
            if close:
                message = f"unknown key; did you mean {close[0]!r}?"
        elif (
            problem["type"] not in ("missing", "union_tag_invalid")
            and not isinstance(problem["input"], dict | list)
            and "storage_options" not in location  # where someone may have put a secret
        ):
            found = problem["input"]
            message += f" (found {(shown(found) if isinstance(found, str) else found)!r})"
        place = f"{path}:{_line(node, location)}"
        lines.append(f"{place}: {where}: {message}" if where else f"{place}: {message}")
    return "\n".join(lines)


def _choice(context: dict[str, Any]) -> str:
    """Say which values a key takes that tells which kind of thing it stands in."""
    if "tag" not in context:
        return "Field required"
    known = [tag.strip(" '") for tag in context["expected_tags"].split(",")]
    close = difflib.get_close_matches(context["tag"], known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"expected one of {', '.join(known)} (found {context['tag']!r}){hint}"


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
