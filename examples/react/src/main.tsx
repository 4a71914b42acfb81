import { createStore } from '@parley/client';
import { ParleyProvider } from '@parley/react';
import { useState } from 'react';
import { createRoot } from 'react-dom/client';
import { Ask, Chats } from './chats.js';

const server = import.meta.env.VITE_PARLEY_URL ?? 'http://127.0.0.1:3000';

function connect(name: string) {
  const token = async () => (await fetch(`/token?name=${encodeURIComponent(name)}`)).text();
  const store = createStore({ url: server, getToken: token, onError: console.error });
  store.start();
  return store;
}

function App() {
  const [store, setStore] = useState<ReturnType<typeof connect>>();
  if (!store) return <Ask label="Sign in" onText={(name) => setStore(connect(name))} />;
  return (
    <ParleyProvider store={store}>
      <Chats />
    </ParleyProvider>
  );
}

createRoot(document.getElementById('root') as HTMLElement).render(<App />);
