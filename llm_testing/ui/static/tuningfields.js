// What stands at the fields of the fine-tuning form: what the chosen model and dataset are.

export function mountTuningFields() {}
