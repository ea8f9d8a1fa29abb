r"""All definitions of one Address Book: which UDFs and folders there are, and what a name stands for."""

import re

from sandbox.maximizer.envelope import NOT_AN_OPTION, UNKNOWN_PROPERTY, ApiError
from sandbox.maximizer.fields import TABLE_KINDS, TYPES, UDF_TYPES, YES_NO, Field, Folder, Udf, basic, decode

_TYPEID = re.compile(r"\$TYPEID\((\d+)\)", re.IGNORECASE)
_NAME = re.compile(r"\$NAME\((.+)\)", re.IGNORECASE)
_TAG = re.compile(r"\$TAG\((.+)\)", re.IGNORECASE)
FIRST_TYPEID = 41
ROOT = 0


class Schema:
    """UDFs by type id, folders by number. Names are compared without regard to case."""

    def __init__(self) -> None:
        self.udfs: dict[int, Udf] = {}
        self.folders: dict[int, Folder] = {}
        self.required: set[str] = set()
        self._next_typeid = FIRST_TYPEID
        self._next_folder = 1
        self._resolved: dict[str, Field | None] = {}

    # --- what a name stands for -------------------------------------------------------------------------------------

    def resolve(self, name: str) -> Field | None:
        r"""`LastName`, `Address/City`, `Udf/$TYPEID(7)`, `/AbEntry/Udf/$TYPEID(7)`, `Udf/$NAME(Folder\Field)`,
        `Udf/$TAG(X)`, `Udf/<key>`, or the bare name of a UDF in the root; None for anything else.
        """
        if name not in self._resolved:
            self._resolved[name] = basic(name) or self._udf_named(name.removeprefix("/AbEntry/"))
        return self._resolved[name]

    def field(self, name: str, kind: str = "AbEntry") -> Field:
        """As `resolve`; raises ApiError -1023 for an unknown name."""
        found = self.resolve(name)
        if found is None:
            raise ApiError(f"{kind} doesn't support property '{name}'.", UNKNOWN_PROPERTY)
        return found

    def _udf_named(self, name: str) -> Udf | None:
        head, slash, tail = name.partition("/")
        if slash and head.casefold() == "udf":
            if match := _TYPEID.fullmatch(tail):
                return self.udfs.get(int(match[1]))
            if match := _NAME.fullmatch(tail):
                return self.find(match[1])
            if match := _TAG.fullmatch(tail):
                return next((udf for udf in self.udfs.values() if udf.tag.casefold() == match[1].casefold()), None)
            parts = decode(tail)
            return self.udfs.get(int(parts[1])) if parts[:1] == ["UdfDefinition"] and parts[1].isdigit() else None
        return self.find(name) if "\\" not in name else None

    def find(self, path: str) -> Udf | None:
        r"""By the full path `Folder\Sub\Name`."""
        wanted = path.casefold()
        return next((udf for udf in self.udfs.values() if self.path(udf).casefold() == wanted), None)

    def at(self, path: str) -> Udf:
        """As `find`, for people. Raises KeyError."""
        udf = self.find(path)
        if udf is None:
            raise KeyError(f"no user-defined field {path!r}")
        return udf

    def path(self, udf: Udf) -> str:
        return "\\".join(part for part in (self.folder_path(udf.folder), udf.name) if part)

    def folder_path(self, number: int) -> str:
        names: list[str] = []
        while number != ROOT:
            folder = self.folders[number]
            names.insert(0, folder.name)
            number = folder.parent
        return "\\".join(names)

    def applying(self, entry_type: str) -> list[Udf]:
        return [udf for udf in self.udfs.values() if entry_type in udf.applies_to]

    # --- changing definitions ---------------------------------------------------------------------------------------

    def add_folder(self, path: str) -> int:
        """The number of the folder, which is made with all folders above it where it is missing."""
        number = ROOT
        for name in filter(None, path.split("\\")):
            number = self.child(number, name) or self.make_folder(name, number)
        return number

    def child(self, parent: int, name: str) -> int | None:
        return next(
            (f.number for f in self.folders.values() if f.parent == parent and f.name.casefold() == name.casefold()),
            None,
        )

    def make_folder(self, name: str, parent: int) -> int:
        number = self._next_folder
        self._next_folder += 1
        self.folders[number] = Folder(number, name, parent)
        return number

    def add(
        self,
        name: str,
        folder: int,
        kind: str,
        options: tuple[str, ...] = (),
        *,
        max_length: int = 255,
        decimals: int = 2,
        applies_to: tuple[str, ...] = TYPES,
        mandatory: bool = False,
        tag: str = "",
    ) -> Udf:
        """Raises ApiError when the folder has a UDF of that name already."""
        if kind not in UDF_TYPES:
            raise ValueError(f"unknown kind {kind!r}; known: {', '.join(UDF_TYPES)}")
        clash = [udf for udf in self.udfs.values() if udf.folder == folder and udf.name.casefold() == name.casefold()]
        if clash:
            raise ApiError(f"A user-defined field named '{name}' already exists in this folder.")
        labels = dict(YES_NO) if kind == "yesno" else {str(n): label for n, label in enumerate(options, 1)}
        udf = Udf(
            self._next_typeid, name, folder, kind, labels, max_length, decimals, applies_to, mandatory, False, tag
        )
        self.udfs[udf.typeid] = udf
        self._next_typeid += 1
        self.changed()
        return udf

    def drop(self, typeid: int) -> None:
        del self.udfs[typeid]
        self.changed()

    def changed(self) -> None:
        """Names may mean something else now."""
        self._resolved.clear()


def add_option(udf: Udf, label: str) -> str:
    """The new item's key. Raises ApiError for a label that is there already or a field without items."""
    if udf.kind not in TABLE_KINDS or udf.kind == "yesno":
        raise ApiError(f"'{udf.name}' has no items that can be changed.")
    if label.casefold() in (known.casefold() for known in udf.options.values()):
        raise ApiError(f"'{udf.name}' has an item '{label}' already.", NOT_AN_OPTION)
    key = str(max((int(key) for key in udf.options), default=0) + 1)
    udf.options[key] = label
    return key
