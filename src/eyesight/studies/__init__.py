"""Studies: what a choice does to the result, measured side by side over several seeds. A folder of ordinary runs."""
