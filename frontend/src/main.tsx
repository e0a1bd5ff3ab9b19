import './styles/tokens.css';
import './styles/base.css';
import './styles/panel.css';
import './styles/sessions.css';
import './styles/live.css';

import { QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';

import { createQueryClient } from './hooks/queries.ts';
import { PanelPage } from './pages/PanelPage.tsx';

const root = document.getElementById('root');
if (root) {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={createQueryClient()}>
        <PanelPage />
      </QueryClientProvider>
    </StrictMode>,
  );
}
