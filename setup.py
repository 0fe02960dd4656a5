"""The one thing pyproject.toml cannot say: a compiled kernel that may fail to build."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "stepwell.encoders.patches._fused",
            ["src/stepwell/encoders/patches/fused.c"],
            depends=["src/stepwell/encoders/patches/fused_body.h"],
            extra_compile_args=["-O3", "-ffp-contract=fast"],
            optional=True,
        )
    ]
)
