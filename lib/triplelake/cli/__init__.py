"""The commands behind `jobs/`, one module each: arguments to settings, errors to messages and exit codes."""

from triplelake.cli.calibrate import calibrate_command, calibrate_parser
from triplelake.cli.demo import demo_command
from triplelake.cli.evaluate import evaluate_command, evaluate_parser
from triplelake.cli.export import export_command, export_parser
from triplelake.cli.extract import extract_command, extract_parser
from triplelake.cli.maintain import maintain_command, maintain_parser
from triplelake.cli.report import report_command, report_parser
from triplelake.cli.sql import sql_command
from triplelake.cli.tune_prompt import tune_prompt_command, tune_prompt_parser

__all__ = [
    "calibrate_command",
    "calibrate_parser",
    "demo_command",
    "evaluate_command",
    "evaluate_parser",
    "export_command",
    "export_parser",
    "extract_command",
    "extract_parser",
    "maintain_command",
    "maintain_parser",
    "report_command",
    "report_parser",
    "sql_command",
    "tune_prompt_command",
    "tune_prompt_parser",
]
