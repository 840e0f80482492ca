import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app/App.tsx";
import "./styles/ground.css";
import "./styles/shell.css";
import "./styles/parts.css";
import "./styles/pages.css";

const place = document.getElementById("console");
if (place !== null)
  createRoot(place).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
