"""What a run is shown as: report.html with its charts, and two reports side by side in a terminal."""
