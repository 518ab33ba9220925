"""The operations about mappings of case classes: their part of the table in `api.routes`."""

from api import answers, mappings, path_checks
from api.door import Route

# Mappings are the installation's, for all tenants: a tenant's admin is no editor of them.
MAPPING_EDITORS = frozenset({"mapping-editor"})
MAPPING_READERS = MAPPING_EDITORS | {"mapping-reader"}
_MAPPINGS = "/api/v1/mappings"
_MAPPING = _MAPPINGS + "/{class_name}"

MAPPING_ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        _MAPPINGS,
        mappings.list_mappings,
        MAPPING_READERS,
        answers.MappingPage,
        problems=("InvalidCursor",),
        gives=("Link",),
    ),
    Route(
        "GET",
        _MAPPING,
        mappings.get_mapping,
        MAPPING_READERS,
        answers.MappingView,
        gives=("ETag",),
        missing="MappingNotFound",
    ),
    Route(
        "PUT",
        _MAPPING + "/draft",
        mappings.put_mapping_draft,
        MAPPING_EDITORS,
        answers.MappingChanged,
        problems=("MappingRefused", "IfMatchRequired"),
        takes=("If-Match",),
        gives=("ETag",),
    ),
    Route(
        "POST",
        _MAPPING + "/publish",
        mappings.publish_mapping,
        MAPPING_EDITORS,
        answers.MappingChanged,
        problems=("MappingRefused", "NoDraft"),
        takes=("If-Match required",),
        gives=("ETag",),
        missing="MappingNotFound",
    ),
    Route(
        "POST",
        _MAPPING + "/disable",
        mappings.disable_mapping,
        MAPPING_EDITORS,
        answers.MappingChanged,
        problems=("MappingRefused", "NotEnabled"),
        takes=("If-Match required",),
        gives=("ETag",),
        missing="MappingNotFound",
    ),
    Route(
        "GET",
        _MAPPING + "/versions",
        mappings.list_mapping_versions,
        MAPPING_READERS,
        answers.MappingVersionPage,
        problems=("InvalidCursor",),
        gives=("Link",),
        missing="MappingNotFound",
    ),
    Route("GET", _MAPPING + "/diff", mappings.diff_mapping, MAPPING_READERS, answers.MappingDiff, missing="MappingNotFound"),
    Route(
        "GET",
        _MAPPING + "/resolve",
        mappings.resolve_mapping,
        MAPPING_READERS,
        answers.ResolvedMapping,
        missing="MappingNotFound",
    ),
    Route("GET", _MAPPING + "/ddl", mappings.show_ddl, MAPPING_READERS, answers.MappingDdl, missing="MappingNotFound"),
    Route(
        "POST",
        _MAPPING + "/check-path",
        path_checks.check_path,
        MAPPING_EDITORS,
        answers.PathChecked,
        problems=("PathRefused", "CaseNotFound"),
        missing="MappingNotFound",
    ),
)
