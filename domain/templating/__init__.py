"""Texts with placeholders: parse once when they are saved, render when they are used."""

from domain.templating.rendering import RenderRefused, Target, fill, missing, render
from domain.templating.secrets import secret_names, with_secrets
from domain.templating.template import Secret, Template, TemplateRefused, parse

__all__ = [
    "RenderRefused",
    "Secret",
    "Target",
    "Template",
    "TemplateRefused",
    "fill",
    "missing",
    "parse",
    "render",
    "secret_names",
    "with_secrets",
]
