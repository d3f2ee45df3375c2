// Dark where Airflow is dark: since 2.10 it keeps that here.
try {
  if (JSON.parse(localStorage.getItem("darkTheme"))) document.documentElement.dataset.theme = "dark";
} catch {
  // It was set by something else.
}
