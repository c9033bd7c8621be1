import { useStore } from "../store";
import { AnswerView } from "./Answer";
import { Header } from "./Header";
import { Question } from "./Question";

export function App() {
  const state = useStore();
  return (
    <>
      <a class="skip" href="#answer">
        Skip to the answer
      </a>
      <Header state={state} />
      {state.notice && (
        <p class="notice" role="status">
          {state.notice}
        </p>
      )}
      <div class="columns">
        <Question state={state} />
        <main id="answer" tabIndex={-1}>
          <AnswerView state={state} />
        </main>
      </div>
      <section class="on-paper" aria-hidden="true">
        <h2>The question</h2>
        <pre>{state.text}</pre>
      </section>
      <footer>
        {state.about && `planner ${state.about.version}, catalog ${state.about.catalog_digest.slice(0, 12)}`}
      </footer>
    </>
  );
}
