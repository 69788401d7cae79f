// What a tuned model can become, to be taken away; each form with the reason where it is not to be had here.

export function askExport() {}
